"""Folders of prepared data, named by their content, that appear whole or not at all.

    corpora/<key>/           what a build wrote, and meta.json: the size and digest of each file, and facts
    corpora/.<key>.tmp-...   a build in progress; its builder holds a lock on it, so that anyone can tell leftovers
    known/<listing>.json     which key belongs to source files that have not changed since they were read

Nothing here is flushed to the disk: whatever a power failure leaves is found damaged, and built again.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from nanocore.errors import ResourceError, remedy
from nanocore.runs.documents import read_document, write_document

SCHEMA = 1
META = "meta.json"
BLOCK = 64 << 10
BLOCKS = 256  # of one file enter its digest: all of it up to 16 MiB, evenly spread samples beyond
TRIES = 16
DAY = 86_400.0  # seconds


class Known(msgspec.Struct, frozen=True):
    """What is remembered about source files: the key of their corpus, and which of them were not text."""

    key: str
    skipped_files: int
    skipped: list[str]


class CorpusCache:
    """Builds and finds folders by key; several processes may do so at once."""

    def __init__(self, root: Path) -> None:
        self._corpora, self._known = root / "corpora", root / "known"

    def recall(self, listing: str) -> Known | None:
        """What was remembered about source files that look like this, or None."""
        return read_document(self._known / f"{listing}.json", Known)

    def remember(self, listing: str, known: Known) -> None:
        with _writing(self._known):
            write_document(self._known / f"{listing}.json", known, durable=False)

    def find(self, key: str) -> tuple[Path, dict[str, Any]] | None:
        """The folder of this key and its facts; None when it is missing or damaged."""
        folder = self._corpora / key
        facts = _verified(folder)
        return None if facts is None else (folder, facts)

    def build(self, key: str, write: Callable[[Path], dict[str, Any]]) -> None:
        """Lets `write` fill a folder and return its facts, then puts it in place.

        Raises ResourceError when the disk is full or cannot be written, and whatever `write` raises;
        either leaves nothing behind. When another process was faster, its equal folder stays.
        """
        with _writing(self._corpora):
            self._sweep()
            with self._claimed(key) as folder:
                facts = write(folder)
                files = {path.name: _facts(path) for path in sorted(folder.iterdir())}
                write_document(folder / META, {"schema": SCHEMA, "files": files, "facts": facts}, durable=False)
                self._commit(folder, key)

    @contextmanager
    def _claimed(self, key: str) -> Iterator[Path]:
        """A new locked folder that is gone afterwards, unless it was renamed."""
        for _ in range(TRIES):
            folder = self._corpora / f".{key}.tmp-{os.getpid()}-{secrets.token_hex(4)}"
            folder.mkdir()
            try:
                lock = _lock(folder)
            except OSError:  # a file system without such locks: that it is young protects it
                lock = _open(folder)
            if lock is not None:
                break
        else:
            raise ResourceError("cannot claim a folder", where=str(self._corpora))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)

    def _commit(self, folder: Path, key: str) -> None:
        target = self._corpora / key
        for _ in range(TRIES):
            try:
                folder.rename(target)
                return
            except OSError:
                if _verified(target) is not None:
                    return
            damaged = self._corpora / f".{key}.tmp-damaged-{secrets.token_hex(4)}"
            with suppress(FileNotFoundError):  # another process may have moved it already
                target.rename(damaged)
            shutil.rmtree(damaged, ignore_errors=True)
        raise ResourceError("cannot put the tokens in place", where=str(target))

    def _sweep(self) -> None:
        """Removes what killed builders left; the folders of living ones are locked, or were changed of late."""
        for leftover in self._corpora.glob(".*.tmp-*"):
            try:
                lock = _lock(leftover)
            except OSError:  # a file system without such locks
                lock = _held_by_age(leftover)
            if lock is not None:
                shutil.rmtree(leftover, ignore_errors=True)
                os.close(lock)


def _lock(folder: Path) -> int | None:
    """A descriptor that locks the folder until it is closed or the process ends; None when others have it.

    Raises OSError where folders cannot be locked, as on network file systems.
    """
    try:
        descriptor = _open(folder)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == folder.stat().st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _held_by_age(folder: Path) -> int | None:
    """A descriptor of a folder that nobody wrote to for a day, without a lock; None of a younger one."""
    try:
        newest = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
        return _open(folder) if time.time() - newest > DAY else None
    except OSError:
        return None


def _open(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _verified(folder: Path) -> dict[str, Any] | None:
    """The facts of a folder whose files are all as they were written, or None."""
    meta = read_document(folder / META)
    if meta is None or meta.get("schema") != SCHEMA:
        return None
    try:
        whole = all(_facts(folder / name) == facts for name, facts in meta["files"].items())
        return meta["facts"] if whole and meta["files"] else None
    except (OSError, KeyError, AttributeError):
        return None


def _facts(path: Path) -> dict[str, Any]:
    """Size and digest of a file, from at most BLOCKS blocks of it."""
    digest, size = blake2b(digest_size=16), path.stat().st_size
    count = -(-size // BLOCK)
    with path.open("rb") as handle:
        for index in range(min(count, BLOCKS)):
            handle.seek(BLOCK * (index if count <= BLOCKS else index * (count - 1) // (BLOCKS - 1)))
            digest.update(handle.read(BLOCK))
    return {"bytes": size, "digest": digest.hexdigest()}


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Makes the folder, and turns what the file system says into one line about it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ResourceError(
            f"cannot keep prepared data: {reason}",
            where=str(folder),
            fix=remedy(error, "choose another folder ($NANOCONSOLE_CACHE)"),
        ) from None
