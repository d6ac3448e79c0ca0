"""Files and folders that appear whole or not at all, and over nothing that was not meant to go."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from nanocore.errors import ResourceError, UsageError

FOLDER_FILES = {  # of a Hugging Face folder
    "README.md", "config.json", "generation_config.json", "model.safetensors", "nanoconsole.json", "tokenizer.json",
    "tokenizer_config.json",
}  # fmt: skip


def write_new(path: Path, build: Callable[[Path], None], *, overwrite: bool) -> None:
    """Let `build` make a file or a folder beside `path`, flush it to the disk and rename it there.

    Raises UsageError when `path` exists and `overwrite` is false, or when what is there is not what an earlier export
    left; ResourceError when it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        refuse_existing(path, overwrite=overwrite)
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(temporary)
        build(temporary)
        _flush(temporary)
        refuse_existing(path, overwrite=overwrite)  # it may have come meanwhile
        _refuse_other(path, folder=temporary.is_dir())
        if path.is_dir():
            _remove(path)
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ResourceError(f"the export was not written: {reason}", where=str(path)) from None
    finally:
        with suppress(OSError):  # where nothing could be written, nothing is left; its reason was told
            _remove(temporary)


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Raise UsageError when something is there that is not to be replaced."""
    if not overwrite and os.path.lexists(path):
        raise UsageError(
            "exists already",
            where=str(path),
            fix="choose another path with --output, or replace it with --force (force=True in Python)",
        )


def _refuse_other(path: Path, *, folder: bool) -> None:
    """Only a file is replaced by a file, and only a folder that holds nothing but an export's files by a folder."""
    if not path.exists() and not path.is_symlink():
        return
    alike = path.is_file() and not folder
    if folder and path.is_dir() and not path.is_symlink():
        alike = all(each.name in FOLDER_FILES for each in path.iterdir())
    if not alike:
        what = "a folder of exported files" if folder else "a file"
        raise UsageError(
            f"is not {what}, and is not replaced", where=str(path), fix="choose another path with --output"
        )


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
