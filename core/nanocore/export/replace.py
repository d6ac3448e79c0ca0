"""Files and folders that appear whole or not at all, and over nothing that was not meant to go."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from nanocore.errors import ResourceError, UsageError


def write_new(path: Path, build: Callable[[Path], None], *, overwrite: bool) -> None:
    """Let `build` make a file or a folder beside `path`, flush it to the disk and rename it there.

    Raises UsageError when `path` exists and `overwrite` is false, ResourceError when it cannot be written.
    """
    _refuse_existing(path, overwrite)
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(temporary)
        build(temporary)
        _flush(temporary)
        _refuse_existing(path, overwrite)  # it may have come meanwhile
        if temporary.is_dir() or path.is_dir():
            _remove(path)
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ResourceError(f"the export was not written: {reason}", where=str(path)) from None
    finally:
        _remove(temporary)


def _refuse_existing(path: Path, overwrite: bool) -> None:
    if not overwrite and (path.exists() or path.is_symlink()):
        raise UsageError("exists already", where=str(path), fix="choose another path, or ask for it to be replaced")


def _flush(path: Path) -> None:
    for each in sorted(path.iterdir()) if path.is_dir() else [path]:
        descriptor = os.open(each, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
