"""Sources of text: which files each one has, and its documents in an order no file system decides.

A file that is binary or not UTF-8 is passed over, named and counted (globs over a project often meet
some); a line of JSON or a Parquet file that cannot be read is an error, as it was named to hold text.
"""

from __future__ import annotations

import glob
import os
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nanocore.config.sections import Source
from nanocore.data.documents import jsonl_documents, not_text, parquet_documents, reading, shown, text_documents
from nanocore.data.synthetic import synthetic_documents
from nanocore.errors import DataError
from nanocore.files import is_file, is_folder

# Folders of the standard library that teach nothing about writing Python: tests, tables, and what was installed later.
NOT_LIBRARY = frozenset(
    {"site-packages", "dist-packages", "test", "tests", "idle_test", "encodings", "pydoc_data", "__pycache__"}
)
# Written for one machine when its Python was built or set up; the corpus depends on the version alone.
NOT_SHARED = ("_sysconfigdata", "sitecustomize", "usercustomize")


@dataclass(frozen=True)
class SourceFile:
    """A file as it was when it was listed; any change shows in one of the numbers."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True)
class Listing:
    """One source and the files it has now, sorted by path."""

    source: Source
    files: tuple[SourceFile, ...]

    @property
    def size(self) -> int:
        """Bytes on disk; 0 for synthetic text."""
        return sum(file.size for file in self.files)

    @property
    def has_copies(self) -> bool:
        """Whether near-copies are likely: trees of files have them, collections of records were cleaned before."""
        return self.source.kind in ("stdlib", "files")


def list_source(source: Source) -> Listing:
    """The files of a source. Raises DataError when there are none."""
    if source.kind == "synthetic":
        return Listing(source, ())
    if source.kind == "stdlib":
        files = _facts(_library(Path(sysconfig.get_path("stdlib"))))
        nothing = DataError("this Python has no library source", fix="use another kind of source")
    else:
        files = _facts([path for pattern in source.paths for path in _matches(pattern)])
        nothing = _no_match(source.paths)
    if not files:
        raise nothing
    return Listing(source, files)


def refuse_empty(sources: Sequence[Source]) -> None:
    """Raise the DataError of `list_source` for a source of paths that has no file now; each is looked for to its first."""
    for index, source in enumerate(sources):
        if source.paths and not any(_facts([path]) for pattern in source.paths for path in _matches(pattern)):
            raise _no_match(source.paths, where=f"data.sources[{index}].paths")


def documents(listing: Listing, skip: Callable[[str, str], None]) -> Iterator[str]:
    """The documents of a source, always in the same order; `skip(path, reason)` hears of files passed over.

    Raises DataError for a file that vanished, cannot be read or is not what its kind promises.
    """
    source = listing.source
    if source.kind == "synthetic":
        yield from synthetic_documents(source.documents, source.seed)
    for path in (Path(file.path) for file in listing.files):
        if source.kind == "jsonl":
            yield from jsonl_documents(path, source.column)
        elif source.kind == "parquet":
            yield from parquet_documents(path, source.column)
        elif reason := not_text(path):
            skip(shown(path), reason)
        else:
            yield from text_documents(path)


@cache
def library_bytes() -> int:
    """Bytes of this Python's library source, 0 where it has none; counted once, in a tenth of a second."""
    try:
        return list_source(Source(kind="stdlib")).size
    except DataError:
        return 0


def _library(root: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in NOT_LIBRARY]
        yield from (
            str(Path(folder, name)) for name in names if name.endswith(".py") and not name.startswith(NOT_SHARED)
        )


def _matches(pattern: str) -> Iterator[str]:
    """What a glob finds, as it finds it; `~` and `**` are allowed, hidden files come only when named."""
    try:
        yield from glob.iglob(str(Path(pattern).expanduser()), recursive=True)  # noqa: PTH207  (pathlib finds hidden files)
    except (RuntimeError, ValueError, OSError) as error:  # an unknown ~user, a NUL character
        raise DataError(f"not a usable pattern ({error})", where=shown(pattern)) from None


def _no_match(patterns: Sequence[str], where: str = "") -> DataError:
    folders = [pattern for pattern in patterns if is_folder(Path(pattern).expanduser())]
    fix = "a folder needs a pattern such as src/**/*.py" if folders else "check the folder and the ending of the names"
    return DataError(f"no file matches {', '.join(map(shown, patterns))}", where=where, fix=fix)


def _facts(paths: Iterator[str] | list[str]) -> tuple[SourceFile, ...]:
    """The regular files among the paths, sorted, each once even when reached by two names."""
    files = []
    seen: set[str] = set()
    for path in sorted(set(paths), key=os.fsencode):
        with reading(Path(path)):
            real = os.path.realpath(path)
            wanted = real not in seen and is_file(Path(real))
        if wanted:
            seen.add(real)
            files.append(_stat(path))
    return tuple(files)


def _stat(path: str) -> SourceFile:
    with reading(Path(path)):
        facts = Path(path).stat()
    return SourceFile(path, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
