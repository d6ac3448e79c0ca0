"""The trash beside the runs: a run that is deleted is moved, so that it can be moved back."""

from __future__ import annotations

import time
from pathlib import Path

from nanocore.errors import ResourceError, UsageError
from nanocore.runs.forks import waiting_forks
from nanocore.runs.layout import RunFolder, private
from nanocore.runs.resting import resting


def trash_dir(root: Path) -> Path:
    """Where deleted runs of `root` are kept; on its file system, so that moving one is one step."""
    return private(root) / "trash"


def discard(root: Path, run: RunFolder) -> Path:
    """Move a run of `root` into the trash and return where it is now: NAME-YYYYmmdd-HHMMSS.

    Raises BusyError while a trainer has the run or may have it on another host, UsageError for a run that a fork still
    starts from and for a symbolic link in the place of the run or the trash, ResourceError when it cannot be moved.
    """
    _refuse_links(run.path)
    _refuse_if_needed(root, run)
    with resting(run, "delete"):
        return to_trash(root, run.path, run.name)


def to_trash(root: Path, path: Path, name: str) -> Path:
    """Move a file or folder of `root` into the trash, as NAME-YYYYmmdd-HHMMSS, and return where it is now.

    mkdir claims the name, and rename replaces an empty folder: two that delete at once never mix. Raises UsageError for a
    symbolic link in the place of the trash, ResourceError when it cannot be moved.
    """
    trash = trash_dir(root)
    _refuse_links(private(root), trash)
    try:
        trash.mkdir(parents=True, exist_ok=True)
        place = trash / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
        place.mkdir()
        return path.rename(place if path.is_dir() else place / path.name)
    except OSError as error:
        raise ResourceError(f"cannot be moved to {trash}: {error.strerror}", where=name) from None


def _refuse_links(*paths: Path) -> None:
    for path in paths:
        if path.is_symlink():
            raise UsageError("is a symbolic link", where=str(path), fix="delete or move its target by hand")


def _refuse_if_needed(root: Path, run: RunFolder) -> None:
    for fork in waiting_forks(root, run):
        what = f"is needed by its fork {fork}, which has no checkpoint of its own yet"
        raise UsageError(what, where=run.name, fix=f"train {fork} to its first checkpoint, or delete it before")
