"""The trash beside the runs: a run that is deleted is moved, so that it can be moved back."""

from __future__ import annotations

import time
from pathlib import Path

from nanocore.errors import BusyError, ResourceError, UsageError
from nanocore.runs.forks import waiting_forks
from nanocore.runs.hints import to_type
from nanocore.runs.layout import RunFolder, private
from nanocore.runs.liveness import acquire, observe


def trash_dir(root: Path) -> Path:
    """Where deleted runs of `root` are kept; on its file system, so that moving one is one step."""
    return private(root) / "trash"


def discard(root: Path, run: RunFolder) -> Path:
    """Move a run of `root` into the trash and return where it is now: NAME-YYYYmmdd-HHMMSS.

    Raises BusyError while a trainer has the run or may have it on another host, UsageError for a run that a fork still
    starts from and for a symbolic link in the place of the run or the trash, ResourceError when it cannot be moved.
    """
    _refuse_links(run.path, private(root), trash_dir(root))
    _refuse_if_needed(root, run)
    state = observe(run)
    if state.state == "elsewhere":
        raise BusyError(state.reason, where=run.name, fix="delete it there")
    if state.at_work:
        raise BusyError(f"is in use: {state.text}", where=run.name, fix=f"stop it first: {to_type(f'stop {run.name}')}")
    lock = acquire(run)  # no trainer can take it while it moves
    try:
        return _move(run, trash_dir(root))
    except OSError as error:
        raise ResourceError(f"cannot be moved to {trash_dir(root)}: {error.strerror}", where=run.name) from None
    finally:
        lock.release()


def _refuse_links(*paths: Path) -> None:
    for path in paths:
        if path.is_symlink():
            raise UsageError("is a symbolic link", where=str(path), fix="delete or move its target by hand")


def _refuse_if_needed(root: Path, run: RunFolder) -> None:
    for fork in waiting_forks(root, run):
        what = f"is needed by its fork {fork}, which has no checkpoint of its own yet"
        raise UsageError(what, where=run.name, fix=f"train {fork} to its first checkpoint, or delete it before")


def _move(run: RunFolder, trash: Path) -> Path:
    """mkdir claims the name, and rename replaces an empty folder: two that delete at once never mix."""
    trash.mkdir(parents=True, exist_ok=True)
    place = trash / f"{run.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    place.mkdir()
    return run.path.rename(place)
