"""Small JSON documents that are replaced as a whole: run.json, status.json, manifests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from nanocore.runs.text import sanitize_data

MAX_BYTES = 4 << 20
T = TypeVar("T")


def read_document(path: Path, kind: type[T] = dict[str, Any]) -> T | None:
    """The document at `path`, or None when it is missing, torn, too large or of another shape.

    Never follows a symbolic link at the last component; strings are sanitised.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        raw = os.read(descriptor, MAX_BYTES + 1)
        return msgspec.convert(sanitize_data(msgspec.json.decode(raw)), kind)
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError):
        return None
    finally:
        os.close(descriptor)


def write_document(path: Path, document: object, *, durable: bool = True) -> None:
    """Replace `path` by `document` in one step: readers see the old or the new, never a part. Raises OSError.

    `durable` also flushes it to the disk, so that a power failure leaves the old or the new one.
    """
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o666)
    try:
        write_whole(descriptor, msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")
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
