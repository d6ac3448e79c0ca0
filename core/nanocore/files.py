"""Reading a file that anybody may have put there: never waiting for it, and never more of it than asked for."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from stat import S_ISDIR, S_ISREG


def read_regular(path: Path, most: int, *, follow: bool = True) -> bytes:
    """The bytes of a regular file of at most `most` bytes; `follow` false refuses a symbolic link as last component.

    Raises OSError, its `strerror` in plain words: a pipe would be waited for, and a device may never end.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    descriptor = os.open(path, flags)
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not S_ISREG(mode):
            code = errno.EISDIR if S_ISDIR(mode) else errno.EINVAL
            raise OSError(code, os.strerror(code) if S_ISDIR(mode) else "it is not a regular file")
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most >> 20} MiB")
    return content
