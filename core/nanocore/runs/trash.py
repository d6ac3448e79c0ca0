"""The trash beside the runs: a run that is deleted is moved there, and can be moved back."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from nanocore.errors import ResourceError, UsageError, remedy
from nanocore.runs.forks import waiting_forks
from nanocore.runs.hints import to_type
from nanocore.runs.layout import RunFolder, private, valid_name
from nanocore.runs.resting import resting
from nanocore.runs.text import sanitize_line

_STAMPED = re.compile(r"(?P<name>.+)-(?P<deleted>\d{8}-\d{6})")


@dataclass(frozen=True)
class Discarded:
    """A run in the trash of `root`: the name it had, when it was moved there (Unix time), and where it lies."""

    root: Path
    name: str
    deleted: float
    path: Path


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
        what = f"cannot be moved to {trash}: {error.strerror}"
        raise ResourceError(what, where=name, fix=remedy(error)) from None


def discarded(root: Path) -> list[Discarded]:
    """The runs in the trash of `root`, the last deleted first; [] when there is none or it cannot be read."""
    try:
        with os.scandir(trash_dir(root)) as entries:
            paths = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    found = [one for one in (_discarded(root, path) for path in paths) if one is not None]
    return sorted(found, key=lambda one: (-one.deleted, one.path.name))


def find_discarded(root: Path, name: str) -> Discarded:
    """The run that was deleted last under `name`, or the one whose folder in the trash is called so.

    Raises UsageError when there is none.
    """
    for one in discarded(root):
        if name in (one.name, one.path.name):
            return one
    known = f"see {to_type('runs trash')}" if discarded(root) else "the trash is empty"
    raise UsageError(f"no run named {sanitize_line(name, 80)!r} is in the trash", where=str(root), fix=known)


def restore(run: Discarded) -> RunFolder:
    """Move a run out of the trash, to the name it had; returns it.

    Raises UsageError when another run has the name or the trash is a symbolic link, ResourceError when it cannot be
    moved.
    """
    _refuse_links(private(run.root), trash_dir(run.root), run.path)
    back = RunFolder(run.root / run.name)
    try:
        back.path.mkdir()  # claims the name; rename then replaces the empty folder
    except FileExistsError:
        fix = f"rename or delete that one first; the deleted one lies in {run.path}"
        raise UsageError(f"a run named {run.name!r} exists already", where=str(run.root), fix=fix) from None
    except OSError as error:
        raise ResourceError(f"cannot be moved back: {error.strerror}", where=run.name, fix=remedy(error)) from None
    try:
        run.path.rename(back.path)
    except OSError as error:
        back.path.rmdir()
        raise ResourceError(f"cannot be moved back: {error.strerror}", where=run.name, fix=remedy(error)) from None
    return back


def _discarded(root: Path, path: Path) -> Discarded | None:
    """What a folder of the trash holds; None for one that no deletion made."""
    match = _STAMPED.fullmatch(path.name)
    if match is None or not valid_name(match["name"]) or not RunFolder(path).run_file.is_file():
        return None
    try:
        deleted = time.mktime(time.strptime(match["deleted"], "%Y%m%d-%H%M%S"))
    except (ValueError, OverflowError):
        return None
    return Discarded(root, match["name"], deleted, path)


def _refuse_links(*paths: Path) -> None:
    for path in paths:
        if path.is_symlink():
            raise UsageError("is a symbolic link", where=str(path), fix="delete or move its target by hand")


def _refuse_if_needed(root: Path, run: RunFolder) -> None:
    for fork in waiting_forks(root, run):
        what = f"is needed by its fork {fork}, which has no checkpoint of its own yet"
        raise UsageError(what, where=run.name, fix=f"train {fork} to its first checkpoint, or delete it before")
