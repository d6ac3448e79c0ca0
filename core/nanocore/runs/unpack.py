"""An archive of a run from anywhere becomes a run here, or nothing at all.

It is believed in nothing: the list of files is checked before anything is unpacked, every file must be the next of that list
and have its hash, and the folder is unpacked apart, verified as a run, and renamed into place at the end.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import time
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO, cast

import msgspec

from nanocore.errors import DISK_FULL, NanoError, ResourceError, UsageError, remedy
from nanocore.runs import archive
from nanocore.runs.archive import Contents, Counted, PackedFile, Progress, unheard
from nanocore.runs.create import update_run
from nanocore.runs.documents import write_document
from nanocore.runs.integrity import verify_run
from nanocore.runs.layout import RunFolder, check_name, private
from nanocore.runs.status import ALIVE_STATES, read_status
from nanocore.runs.tar import padding, read_member, refusal, take
from nanocore.runs.temporaries import OLD
from nanocore.runs.text import sanitize_line

MOST_RATIO = 200  # bytes out of one packed; runs have at most 20, a bomb 1,000
SMALL = 64 << 20  # bytes below which no ratio is a bomb
_CHUNK = 1 << 20
_NAME = "name a file that nanoconsole runs export wrote"


def unpack_run(root: Path, path: Path, *, name: str = "", progress: Progress = unheard) -> RunFolder:
    """Make a run under `root` of an archive; `name` instead of its own.

    Raises FormatError for an archive that is damaged, is none, or would be more than it may; UsageError when the name is
    taken or not allowed; ResourceError when the disk has no room. Nothing half-made stays.
    """
    where = sanitize_line(path.name)
    with _stream(path, where) as (stream, packed):
        contents = _contents(stream, where)
        target = RunFolder(root / check_name(name or contents.run))
        _refuse_taken(target)
        _refuse_bomb(contents, packed, where)
        with _incoming(root, contents) as folder:
            run = RunFolder(folder / target.name)
            _unpack(run, stream, contents, where, progress)
            _refuse_broken(run, where, progress)
            _settle(run, contents)
            _place(run, target)
    return target


@contextmanager
def _stream(path: Path, where: str) -> Iterator[tuple[BinaryIO, int]]:
    """The tar stream in a file, unzipped where it is zipped, and the bytes of the file."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as raw:
            status = os.fstat(raw.fileno())
            if not S_ISREG(status.st_mode):
                raise refusal("is not a regular file", where, fix=_NAME)
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.GzipFile(fileobj=raw) if zipped else raw as stream:
                yield cast(BinaryIO, stream), status.st_size
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise refusal(f"is damaged ({sanitize_line(str(error), 80)})", where) from None
    except IsADirectoryError:
        raise refusal("is a folder", where, fix=_NAME) from None
    except OSError as error:
        raise _not_unpacked(error, where) from None


def _not_unpacked(error: OSError, where: str) -> NanoError:
    what = f"cannot be unpacked: {error.strerror or sanitize_line(str(error), 80)}"
    kind = ResourceError if error.errno in DISK_FULL else UsageError
    return kind(what, where=where, fix=remedy(error) or "check the path")


def _contents(stream: BinaryIO, where: str) -> Contents:
    first = read_member(stream, where)
    if first is None or first.name != archive.NAME:
        raise refusal("is no archive of a run", where, fix="nanoconsole runs export writes one")
    if first.size > archive.MOST_BYTES:
        raise refusal("has a list of files larger than any run's", where, fix=archive.FEWER)
    raw = take(stream, first.size, where)
    _skip_padding(stream, first.size, where)
    return archive.decode(raw, where)


def _refuse_taken(target: RunFolder) -> None:
    if os.path.lexists(target.path):
        what = f"a run or file named {target.name!r} exists already"
        raise UsageError(what, where=str(target.path.parent), fix="choose another name with --as")


def _refuse_bomb(contents: Contents, packed: int, where: str) -> None:
    """How much it may be: no stream gives more than its list says, so the list decides."""
    if contents.bytes > SMALL and contents.bytes > MOST_RATIO * packed:
        what = f"claims {contents.bytes} bytes in {packed}, which no run is"
        raise refusal(what, where, fix="pack the run as .tar, which is not gzipped")


@contextmanager
def _incoming(root: Path, contents: Contents) -> Iterator[Path]:
    """A folder of its own, on the file system of the runs, that vanishes at the end; those of imports that died go too."""
    home = private(root) / "incoming"
    home.mkdir(parents=True, exist_ok=True)
    _sweep(home)
    free = shutil.disk_usage(home).free
    if contents.bytes > free:
        what = f"needs {contents.bytes >> 20} MiB, and {free >> 20} MiB are free"
        raise ResourceError(what, where=str(root), fix="free some space, or choose another folder with --runs")
    folder = home / uuid.uuid4().hex
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(home: Path) -> None:
    """A folder of an import changes while it is unpacked: one that rests for long has nobody."""
    for folder in home.iterdir():
        with suppress(OSError):
            newest = max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))
            if time.time() - newest > 6 * OLD:
                shutil.rmtree(folder, ignore_errors=True)


def _unpack(run: RunFolder, stream: BinaryIO, contents: Contents, where: str, progress: Progress) -> None:
    counted = Counted(progress, "unpacking", contents.bytes)
    run.path.mkdir()
    for folder in run.directories:
        folder.mkdir()
    for file in contents.files:
        member = read_member(stream, where)
        if member is None or (member.name, member.size) != (file.name, file.bytes):
            found = "ends" if member is None else f"holds {sanitize_line(member.name, 80)!r} of {member.size} bytes"
            raise refusal(f"{found} where its list has {file.name!r} of {file.bytes}", where)
        _unpack_file(run.path / file.name, stream, file, where, counted)
        _skip_padding(stream, file.bytes, where)
    if (more := read_member(stream, where)) is not None:
        raise refusal(f"holds {sanitize_line(more.name, 80)!r}, which is not in its list", where)


def _unpack_file(path: Path, stream: BinaryIO, file: PackedFile, where: str, counted: Counted) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, left = hashlib.sha256(), file.bytes
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    with os.fdopen(descriptor, "wb") as target:
        while left:
            chunk = take(stream, min(_CHUNK, left), where)
            digest.update(chunk)
            target.write(chunk)
            left -= len(chunk)
            counted.add(len(chunk))
        target.flush()
        os.fsync(target.fileno())
    if digest.hexdigest() != file.sha256:
        raise refusal(f"its {file.name} was altered (SHA-256 differs)", where)


def _skip_padding(stream: BinaryIO, size: int, where: str) -> None:
    if take(stream, padding(size), where).strip(b"\0"):
        raise refusal("holds bytes between its files", where)


def _settle(run: RunFolder, contents: Contents) -> None:
    """The run as one of this place: under its name here, and at work nowhere, as the process that was is not here."""
    update_run(run, name=run.name, imported={"run": contents.run, "packed": contents.packed, "time": time.time()})
    status = read_status(run)
    if status is not None and status.state in ALIVE_STATES:
        message = f"it was {status.state} when its process died, before it was packed"
        write_document(run.status_file, msgspec.structs.replace(status, state="crashed", message=message))


def _refuse_broken(run: RunFolder, where: str, progress: Progress) -> None:
    """All files are those of the list, so it was packed as it is: fetching it again would not help."""
    for finding in archive.heard(verify_run(run), progress):
        if finding.state == "broken":
            what = f"its {finding.part} is broken: {finding.detail}"
            raise refusal(what, where, fix="mend the run and pack it again with nanoconsole runs export")


def _place(run: RunFolder, target: RunFolder) -> None:
    """mkdir decides among all that want the name, and rename replaces the empty folder in one step."""
    try:
        target.path.mkdir()
    except FileExistsError:
        _refuse_taken(target)
        raise
    try:
        run.path.rename(target.path)
    except OSError:
        with suppress(OSError):
            target.path.rmdir()
        raise
