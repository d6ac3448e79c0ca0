"""Small JSON documents that are replaced as a whole: run.json, status.json, manifests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from nanocore.files import read_regular
from nanocore.runs.text import sanitize_data, sanitize_line

MAX_BYTES = 4 << 20
T = TypeVar("T")


class Flawed(Exception):
    """A document that is there and cannot be used; its text says why, in plain words behind the document's name."""


class Unreadable(Flawed):
    """A document that the system does not let be read; what is in it is not known."""


class Newer(Flawed):
    """A document of a version of nanoconsole that comes after this one."""


class _Versioned(msgspec.Struct):
    """What every document may begin with."""

    schema: int = 1


def load_document(path: Path, kind: type[T], *, newest: int) -> T | None:
    """The document at `path`, or None when there is none. `newest` is the highest schema number known here.

    Never follows a symbolic link at the last component; strings are sanitised. Raises Flawed for a document that is
    torn, too large, of another shape, or written by a newer version.
    """
    try:
        raw = read_regular(path, MAX_BYTES, follow=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from None
    return decode_document(raw, kind, newest=newest)


def decode_document(raw: bytes, kind: type[T], *, newest: int) -> T:
    """The document that a text is; as `load_document`."""
    try:
        document = msgspec.json.decode(raw)
        if not raw.isascii() or b"\\" in raw or b"\x7f" in raw:  # else no string in it can be unsafe
            document = sanitize_data(document)
        check_version(msgspec.convert(document, _Versioned).schema, newest)
        return msgspec.convert(document, kind)
    except (ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise Flawed(f"cannot be read: {sanitize_line(str(error), 120)}") from None


def check_version(schema: int, newest: int) -> None:
    """Raise Newer when `schema` is higher than this version knows, Flawed when there never was such a version."""
    if schema < 1:
        raise Flawed(f"names a version that never was (schema {schema})")
    if schema > newest:
        raise Newer(f"was written by a newer version of nanoconsole (schema {schema}, this one knows {newest})")


def read_document(path: Path, kind: type[T] = dict[str, Any], *, newest: int = 1) -> T | None:
    """The document at `path`, or None when there is none that can be used here."""
    try:
        return load_document(path, kind, newest=newest)
    except Flawed:
        return None


def write_document(path: Path, document: object, *, durable: bool = True) -> None:
    """Replace `path` by `document` in one step: readers see the old or the new, never a part. Raises OSError.

    `durable` also flushes it to the disk, so that a power failure leaves the old or the new one.
    """
    replace_file(path, msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n", durable=durable)


def replace_file(path: Path, data: bytes, *, durable: bool, mode: int = 0o666) -> None:
    """Replace `path` by a file of these bytes; as `write_document`. `mode` is limited by the process's umask."""
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, mode)
    try:
        write_whole(descriptor, data)
        if durable:
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def write_whole(descriptor: int, data: bytes) -> None:
    """Write all of `data`; os.write alone may write a part when the disk fills up. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
