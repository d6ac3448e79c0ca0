"""Checkpoints that are whole or not there: a manifest of hashes written last, a folder renamed into place.

A flipped bit loads without an error in every tensor format, so nothing is loaded unless size and SHA-256 of each file
agree with the manifest. There is no pointer to the latest: it is the highest step that verifies.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from nanocore.checkpoint.record import MANIFEST, File, examine, sha256_of, write_manifest
from nanocore.runs.failpoint import failpoint

__all__ = [
    "MANIFEST",
    "available",
    "commit",
    "folders",
    "latest",
    "leftovers",
    "remove",
    "retain",
    "step_folder",
    "step_of",
    "sweep",
    "verify",
]

_STEP = re.compile(r"step-(\d{8,15})")
_ASIDE = re.compile(r"\.(step-\d{8,15})\.(tmp|old|gone)-\d+")


def step_folder(checkpoints_dir: Path, step: int) -> Path:
    """The folder of the checkpoint after `step` updates, as step-00000100."""
    return checkpoints_dir / f"step-{step:08d}"


def step_of(checkpoint: Path) -> int:
    """The step in a checkpoint folder's name. Raises ValueError when it is none."""
    match = _STEP.fullmatch(checkpoint.name)
    if match is None:
        raise ValueError(f"{checkpoint.name} is not a checkpoint folder")
    return int(match.group(1))


def commit(build: Callable[[Path], None], target: Path, facts: dict[str, Any]) -> None:
    """Let `build` write plain files into a folder and make it `target` in one step, safe on the disk.

    A kill at any moment leaves the earlier checkpoints as they were and either no `target` or a whole one. A folder
    in the way is moved aside first and removed after. Raises what `build` raises and OSError; nothing stays behind then.
    """
    temporary = _beside(target, "tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    target.parent.mkdir(exist_ok=True)  # but not the run's folder, which was moved away where it is not there
    temporary.mkdir()
    try:
        failpoint("checkpoint.begin")
        build(temporary)
        failpoint("checkpoint.built")
        _seal(temporary, facts)
        _replace(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def verify(path: Path, *, hashes: bool = True) -> list[str]:
    """What is wrong with a checkpoint, one line each; [] when it is whole. `hashes` false looks at sizes only."""
    return [problem.text for problem in examine(path, hashes=hashes)]


def available(checkpoints_dir: Path) -> list[Path]:
    """Checkpoints that have a manifest and files of the right sizes, oldest first. Contents are not read."""
    return [path for path in folders(checkpoints_dir) if not verify(path, hashes=False)]


def latest(checkpoints_dir: Path) -> Path | None:
    """The checkpoint of the highest step that verifies wholly, or None."""
    return next((path for path in reversed(available(checkpoints_dir)) if not verify(path)), None)


def leftovers(checkpoints_dir: Path) -> list[Path]:
    """What killed commits left behind; while a trainer saves, what it works on too."""
    if not checkpoints_dir.is_dir():
        return []
    return sorted(path for path in checkpoints_dir.iterdir() if _ASIDE.fullmatch(path.name))


def sweep(checkpoints_dir: Path) -> list[str]:
    """Remove what killed commits left behind; returns the names. Only for the process that holds the run's lock.

    A folder that was moved aside by a commit which then died is put back if nothing took its place.
    """
    swept = leftovers(checkpoints_dir)
    for path in swept:
        name, role = path.name[1:].split(".")[0], path.name.split(".")[2]
        home = checkpoints_dir / name
        if role.startswith("old") and not home.exists() and not verify(path):
            path.rename(home)
        else:
            shutil.rmtree(path, ignore_errors=True)
    return [path.name for path in swept]


def retain(checkpoints_dir: Path, keep_last: int, needed: Collection[int] = (), *, every: int = 0) -> list[Path]:
    """Remove all but the newest `keep_last` whole checkpoints; returns those removed. Broken ones count for nothing.

    Those of the steps in `needed`, and of multiples of `every`, stay beside them. The last one that is whole by its
    hashes is never removed: where none of those to be kept is, the newest other one that is stays too.

    A folder that cannot be removed stays and is tried again next time.
    """
    whole = available(checkpoints_dir)
    if len(whole) <= keep_last:
        return []
    oldest_kept = step_of(whole[-keep_last])
    surplus = [path for path in folders(checkpoints_dir) if step_of(path) < oldest_kept and step_of(path) not in needed]
    surplus = [path for path in surplus if not every or step_of(path) % every]
    spared = _last_good(whole, surplus)
    return [path for path in surplus if path != spared and _removed(path)]


def _last_good(whole: list[Path], surplus: list[Path]) -> Path | None:
    """The newest good checkpoint, by its hashes, of those to be removed; None where one of those that stay is good."""
    doomed = [path for path in whole if path in surplus]
    staying = [path for path in whole if path not in surplus]
    if not doomed or any(not verify(path) for path in reversed(staying)):
        return None
    return next((path for path in reversed(doomed) if not verify(path)), None)


def _removed(path: Path) -> bool:
    try:
        remove(path)
    except OSError:
        return False
    return True


def remove(path: Path) -> None:
    """Delete a checkpoint, first out of sight, so that a kill leaves no half one under a good name. Raises OSError."""
    gone = _beside(path, "gone")
    path.rename(gone)
    shutil.rmtree(gone)


def _seal(folder: Path, facts: dict[str, Any]) -> None:
    """Flush every file, then write and flush the manifest, then the folder itself."""
    mode = 0o666 & ~_umask()
    files = [_sealed(path, mode) for path in sorted(folder.iterdir())]
    failpoint("checkpoint.flushed")
    write_manifest(folder, facts, files)
    failpoint("checkpoint.manifest")
    _flush(folder)


def _sealed(path: Path, mode: int) -> File:
    """Give a file its mode (safetensors makes files that only their owner reads), flush it, and hash it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(descriptor, mode)
        failpoint("checkpoint.fsync")
        os.fsync(descriptor)
        return File(path.name, os.fstat(descriptor).st_size, sha256_of(descriptor))
    finally:
        os.close(descriptor)


def _replace(temporary: Path, target: Path) -> None:
    aside = None
    if os.path.lexists(target):
        aside = _beside(target, "old")
        shutil.rmtree(aside, ignore_errors=True)
        target.rename(aside)
        failpoint("checkpoint.aside")
    failpoint("checkpoint.rename")
    temporary.rename(target)
    failpoint("checkpoint.renamed")
    _flush(target.parent)
    if aside is not None:
        shutil.rmtree(aside, ignore_errors=True)


def folders(checkpoints_dir: Path) -> list[Path]:
    """All checkpoint folders, whole or not, by step. Symbolic links are none."""
    try:
        with os.scandir(checkpoints_dir) as entries:
            names = [e.name for e in entries if _STEP.fullmatch(e.name) and e.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return sorted((checkpoints_dir / name for name in names), key=step_of)


def _beside(target: Path, role: str) -> Path:
    return target.with_name(f".{target.name}.{role}-{os.getpid()}")


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    """This process's umask, without setting it for a moment as os.umask would."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines()
    return next(int(line.split()[1], 8) for line in lines if line.startswith("Umask:"))
