"""A run that nobody works on as one archive: a tar file, its list of names, sizes and hashes first."""

from __future__ import annotations

import gzip
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

from nanocore.errors import ResourceError, UsageError, remedy
from nanocore.runs import archive
from nanocore.runs.archive import Contents, Counted, PackedFile, Progress, unheard
from nanocore.runs.hints import to_type
from nanocore.runs.integrity import verify_run
from nanocore.runs.layout import RunFolder
from nanocore.runs.resting import resting
from nanocore.runs.tar import END, Member, header, padding
from nanocore.runs.text import sanitize_line

_CHUNK = 1 << 20
_LEVEL = 1  # weights are noise to a compressor: what shrinks are records, and they do at any level


@dataclass(frozen=True)
class Packed:
    """What was packed: `left_out` names what does not travel, with the reason."""

    path: Path
    files: int
    bytes: int
    left_out: dict[str, str]


def pack_run(run: RunFolder, path: Path, progress: Progress = unheard) -> Packed:
    """Write the archive of a run: PATH.tar, or PATH.tar.gz, which is compressed.

    Checkpoints and exports that are damaged, links and what a save that died left do not travel. Raises UsageError for a
    place where it cannot be written, for other damage and for a name that cannot travel, BusyError while the run is in use,
    ResourceError.
    """
    _refuse(run, path)
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    with resting(run, "pack"):
        try:
            files, left_out = _collected(run, progress)
            contents = Contents(run.name, _version(), time.time(), files)
            _write(run, temporary, contents, progress, zipped=path.name.endswith(archive.GZIPPED))
            temporary.replace(path)
        except OSError as error:
            what = f"was not packed: {error.strerror or error}"
            raise ResourceError(what, where=str(path), fix=remedy(error)) from None
        finally:
            with suppress(OSError):
                temporary.unlink()
    return Packed(path, len(files), path.stat().st_size, left_out)


def _refuse(run: RunFolder, path: Path) -> None:
    endings = (".tar", *archive.GZIPPED)
    if not path.name.endswith(endings):
        raise UsageError("is no name of an archive", where=str(path), fix=f"end it with {' or '.join(endings)}")
    if os.path.lexists(path):
        raise UsageError("exists already", where=str(path), fix="choose another name")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", where=str(path), fix="make it first")
    if path.parent.resolve().is_relative_to(run.path.resolve()):
        raise UsageError("lies inside the run", where=str(path), fix="choose a place outside of it")


def _version() -> str:
    try:
        return metadata.version("nanoconsole")
    except metadata.PackageNotFoundError:
        return ""


def _collected(run: RunFolder, progress: Progress) -> tuple[list[PackedFile], dict[str, str]]:
    """Every file that travels, with its hash as it is now; and what does not, with the reason."""
    files, left_out, broken = [], {}, _broken(run, progress)
    inside = list(_inside(run))
    counted = Counted(progress, "reading", sum(path.lstat().st_size for path in inside))
    for path in inside:
        name = str(path.relative_to(run.path))
        damage = next((reason for part, reason in broken.items() if path.is_relative_to(run.path / part)), "")
        if damage:
            left_out[name] = damage
        elif not S_ISREG(path.lstat().st_mode):
            left_out[name] = "is no plain file"
        elif reason := archive.problem_of(name):
            fix = "rename it or move it away"
            raise UsageError(f"holds {sanitize_line(name, 120)!r}, which {reason}", where=run.name, fix=fix)
        else:
            files.append(_hashed(path, name, counted))
    return files, {sanitize_line(name, 120): sanitize_line(reason, 120) for name, reason in left_out.items()}


def _broken(run: RunFolder, progress: Progress) -> dict[str, str]:
    """Damaged checkpoints and exports, with the reason. Raises UsageError where the rest of the run is damaged."""
    found = {each.part: each.detail for each in archive.heard(verify_run(run), progress) if each.state == "broken"}
    for part, detail in found.items():
        if "/" not in part:
            fix = f"see {to_type(f'runs repair {run.name} --dry-run')}"
            raise UsageError(f"its {part} is broken: {detail}", where=run.name, fix=fix)
    return found


def _inside(run: RunFolder) -> Iterator[Path]:
    """Everything of the run that travels if it is sound; names that begin with a dot are of what is being written."""
    names, directories = archive.parts(run)
    yield from (path for name in sorted(names) if os.path.lexists(path := run.path / name))
    for top in sorted(directories):
        for folder, inner, found in os.walk(run.path / top):
            inner[:] = sorted(name for name in inner if not name.startswith("."))
            linked = [name for name in inner if (Path(folder) / name).is_symlink()]
            yield from (Path(folder) / name for name in sorted([*found, *linked]) if not name.startswith("."))


def _hashed(path: Path, name: str, counted: Counted) -> PackedFile:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            counted.add(len(chunk))
    return PackedFile(name, size, digest.hexdigest())


def _write(run: RunFolder, path: Path, contents: Contents, progress: Progress, *, zipped: bool) -> None:
    counted = Counted(progress, "writing", contents.bytes)
    with path.open("xb") as raw:
        if zipped:
            with gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as stream:
                _members(run, stream, contents, counted)
        else:
            _members(run, raw, contents, counted)
        raw.flush()
        os.fsync(raw.fileno())


def _members(run: RunFolder, stream: BinaryIO | gzip.GzipFile, contents: Contents, counted: Counted) -> None:
    first = archive.encode(contents)
    stream.write(header(Member(archive.NAME, len(first))) + first + bytes(padding(len(first))))
    for file in contents.files:
        stream.write(header(Member(file.name, file.bytes)))
        if not _copied(run.path / file.name, stream, file, counted):
            raise UsageError(f"{file.name} changed while it was packed", where=run.name, fix="pack it again")
        stream.write(bytes(padding(file.bytes)))
    stream.write(END)


def _copied(path: Path, stream: BinaryIO | gzip.GzipFile, file: PackedFile, counted: Counted) -> bool:
    """Whether what was copied is what was hashed."""
    digest, left = hashlib.sha256(), file.bytes
    with path.open("rb") as source:
        while left and (chunk := source.read(min(_CHUNK, left))):
            digest.update(chunk)
            stream.write(chunk)
            left -= len(chunk)
            counted.add(len(chunk))
        return not left and not source.read(1) and digest.hexdigest() == file.sha256
