"""Files that anybody may have named or put there: never waited for, and never more of them read than asked for."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from stat import S_ISDIR, S_ISREG


def is_file(path: Path) -> bool:
    """Whether a regular file is there. A name that no file can have (too long) is none; pathlib raises OSError for it."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """Whether a folder is there, for any name, as `is_file`."""
    return os.path.isdir(path)  # noqa: PTH112


def is_there(path: Path) -> bool:
    """Whether anything is there, for any name, as `is_file`."""
    return os.path.exists(path)  # noqa: PTH110


def open_regular(path: Path, flags: int = os.O_RDONLY, *, follow: bool = True) -> int:
    """A descriptor of a regular file; `follow` false refuses a symbolic link as last component.

    Raises OSError, its `strerror` in plain words: a pipe would be waited for, and a device may never end.
    """
    flags |= os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    descriptor = os.open(path, flags, 0o666)
    mode = os.fstat(descriptor).st_mode
    if S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    code = errno.EISDIR if S_ISDIR(mode) else errno.ENXIO
    raise OSError(code, os.strerror(code) if S_ISDIR(mode) else "it is not a regular file")


def read_regular(path: Path, most: int, *, follow: bool = True) -> bytes:
    """The bytes of a regular file of at most `most` bytes. Raises OSError as `open_regular`, and for a larger one."""
    with os.fdopen(open_regular(path, follow=follow), "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most >> 20} MiB")
    return content
