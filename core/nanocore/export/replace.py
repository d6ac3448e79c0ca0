"""Files and folders that appear whole or not at all, and over nothing that was not meant to go. No torch here."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from nanocore.errors import ResourceError, UsageError, remedy
from nanocore.export.hf_names import OWN_FILE
from nanocore.files import read_regular
from nanocore.runs.layout import RunFolder

FILE_MAGICS = (b"GGUF", struct.pack("<I", 0x6D484321))  # GGUF and .mhc: the files that an export writes
FOLDER_FILES = {  # of a Hugging Face folder
    "README.md", "config.json", "generation_config.json", "model.safetensors", OWN_FILE, "tokenizer.json",
    "tokenizer_config.json",
}  # fmt: skip
OWN_BYTES = 1 << 26
ELSEWHERE = "choose another path with --output"


def write_new(path: Path, build: Callable[[Path], None], *, folder: bool = False, overwrite: bool) -> None:
    """Let `build` make a file, or a `folder`, beside `path`, flush it to the disk and rename it there.

    Raises UsageError as `refuse_place`, ResourceError when it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        refuse_place(path, folder=folder, overwrite=overwrite)
        _remove(temporary)
        build(temporary)
        _flush(temporary)
        refuse_place(path, folder=folder, overwrite=overwrite)  # it may have come meanwhile
        if path.is_dir():
            _remove(path)
        temporary.replace(path)
    except OSError as error:
        raise _not_written(path, error) from None
    finally:
        with suppress(OSError):  # where nothing could be written, nothing is left; its reason was told
            _remove(temporary)


def refuse_place(path: Path, *, folder: bool, overwrite: bool) -> None:
    """Raise UsageError where an export must not go: among checkpoints, where no folder is, over what is no export.

    An earlier export is replaced where `overwrite` is true, and an empty folder becomes a `folder` in any case. Raises
    ResourceError where nobody may look.
    """
    try:
        _refuse_checkpoints(path)
        if not path.parent.is_dir():
            fix = f"make that folder first, or {ELSEWHERE}"
            raise UsageError(f"cannot be written: there is no folder {path.parent}", where=path.name, fix=fix)
        _refuse_existing(path, folder=folder, overwrite=overwrite)
    except OSError as error:
        raise _not_written(path, error) from None


def into_folder(path: Path, name: str) -> Path:
    """`name` in `path` where that is a folder, else `path` itself."""
    with suppress(OSError):  # what is wrong with it is told when it is written
        return path / name if path.is_dir() else path
    return path


def _refuse_existing(path: Path, *, folder: bool, overwrite: bool) -> None:
    if not os.path.lexists(path) or (folder and _is_empty_folder(path)):
        return
    if not (_is_earlier_folder(path) if folder else _is_earlier_file(path)):
        what = "a folder" if folder else "a GGUF or .mhc file"
        raise UsageError(f"is not {what} that an export wrote, and is not replaced", where=str(path), fix=ELSEWHERE)
    if not overwrite:
        fix = f"{ELSEWHERE}, or replace it with --force (force=True in Python)"
        raise UsageError("exists already", where=str(path), fix=fix)


def _refuse_checkpoints(path: Path) -> None:
    """The folder of a run's checkpoints belongs to its trainer: what is put there spoils or is lost."""
    place = Path(os.path.realpath(path.parent)) / path.name
    for each in (place, *place.parents):
        run = RunFolder(each.parent)
        if each == run.checkpoints_dir and run.run_file.is_file():
            raise UsageError("lies among the checkpoints of a run", where=str(path), fix=ELSEWHERE)


def _not_written(path: Path, error: OSError) -> ResourceError:
    return ResourceError(f"the export was not written: {error.strerror or error}", where=str(path), fix=remedy(error))


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not any(path.iterdir())


def _is_earlier_file(path: Path) -> bool:
    """Whether it begins as an exported file does. A device or a pipe is not even opened."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) in FILE_MAGICS


def _is_earlier_folder(path: Path) -> bool:
    """Whether it holds this program's own description of a model, and only files that an export writes."""
    if path.is_symlink() or not path.is_dir():
        return False
    if any(each.name not in FOLDER_FILES or each.is_symlink() or not each.is_file() for each in path.iterdir()):
        return False
    try:
        table = json.loads(read_regular(path / OWN_FILE, OWN_BYTES))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(table, dict) and {"schema", "form", "config", "tokenizer"} <= table.keys()


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
