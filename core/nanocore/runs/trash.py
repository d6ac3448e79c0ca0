"""The trash beside the runs: a run that is deleted, or a part that a repair puts away, lies there and can be moved back.

A run is the folder NAME-YYYYmmdd-HHMMSS itself; of a part such a folder holds the path below the runs, as
RUN/checkpoints/step-00000100, so that it says where it belongs.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nanocore.errors import ResourceError, UsageError, remedy
from nanocore.runs.forks import waiting_forks
from nanocore.runs.hints import to_type
from nanocore.runs.layout import RunFolder, private, valid_name
from nanocore.runs.orphans import find_folder, is_orphan
from nanocore.runs.resting import resting
from nanocore.runs.text import sanitize_line

_STAMPED = re.compile(r"(?P<name>.+)-(?P<deleted>\d{8}-\d{6})")
_PART = re.compile(r"checkpoints/step-\d{8,15}|exports/[^/]+|status\.json")


@dataclass(frozen=True)
class Discarded:
    """A run in the trash of `root`, or a part of one: the name it had (of a part the path below `root`), when it was
    moved there (Unix time), and the folder of the trash."""

    root: Path
    name: str
    deleted: float
    path: Path

    @property
    def run(self) -> str:
        return self.name.partition("/")[0]

    @property
    def part(self) -> str:
        """The path of a part inside its run, "" for a run."""
        return self.name.partition("/")[2]


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
    """Move a run of `root`, or a part of one, into the trash, into NAME-YYYYmmdd-HHMMSS, and return where it is now.

    mkdir claims the name, and rename replaces an empty folder: two that delete at once never mix. Raises UsageError for a
    symbolic link in the place of the trash, ResourceError when it cannot be moved.
    """
    trash = trash_dir(root)
    _refuse_links(private(root), trash)
    try:
        trash.mkdir(parents=True, exist_ok=True)
        place = trash / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
        place.mkdir()
        if path.parent != root:
            place /= path.relative_to(root)
            place.parent.mkdir(parents=True)
        return path.rename(place)
    except OSError as error:
        what = f"cannot be moved to {trash}: {error.strerror}"
        raise ResourceError(what, where=name, fix=remedy(error)) from None


def discarded(root: Path) -> list[Discarded]:
    """The runs and parts of runs in the trash of `root`, the last deleted first; [] when there are none or it cannot be
    read."""
    try:
        with os.scandir(trash_dir(root)) as entries:
            paths = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    found = [one for one in (_discarded(root, path) for path in paths) if one is not None]
    return sorted(found, key=lambda one: (-one.deleted, one.path.name))


def find_discarded(root: Path, name: str) -> Discarded:
    """The run or part that was put away last under `name`, or the one whose folder in the trash is called so.

    Raises UsageError when there is none.
    """
    for one in discarded(root):
        if name in (one.name, one.path.name):
            return one
    known = f"see {to_type('runs trash')}" if discarded(root) else "the trash is empty"
    what = f"no run, and no part of one, named {sanitize_line(name, 80)!r} is in the trash"
    raise UsageError(what, where=str(root), fix=known)


def restore(run: Discarded) -> RunFolder:
    """Move a run out of the trash, to the name it had, or a part to its run; returns the run.

    Raises UsageError when something else has the name, the run of a part is not there or the trash is a symbolic link,
    BusyError while the run of a part is at work, ResourceError when it cannot be moved.
    """
    _refuse_links(private(run.root), trash_dir(run.root), run.path)
    if run.part:
        return _restore_part(run)
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


def _restore_part(part: Discarded) -> RunFolder:
    run, lies = find_folder(part.root, part.run), part.path / part.name
    home = run.path / part.part
    _refuse_links(*(folder for folder in lies.parents if folder.is_relative_to(part.path)), home.parent)
    with resting(run, "restore"):
        if os.path.lexists(home):
            fix = f"move that one away first; the other lies in {lies}"
            raise UsageError(f"its {part.part} is there already", where=run.name, fix=fix)
        try:
            home.parent.mkdir(exist_ok=True)
            lies.rename(home)
        except OSError as error:
            raise ResourceError(f"cannot be moved back: {error.strerror}", where=part.name, fix=remedy(error)) from None
    with suppress(OSError):  # the folders that say where it belonged
        for folder in (each for each in lies.parents if each.is_relative_to(part.path)):
            folder.rmdir()
    return run


def _discarded(root: Path, path: Path) -> Discarded | None:
    """What a folder of the trash holds; None for one that no deletion and no repair made."""
    match = _STAMPED.fullmatch(path.name)
    name = _held(path, match["name"]) if match is not None else ""
    if match is None or not name:
        return None
    try:
        deleted = time.mktime(time.strptime(match["deleted"], "%Y%m%d-%H%M%S"))
    except (ValueError, OverflowError):
        return None
    return Discarded(root, name, deleted, path)


def _held(path: Path, name: str) -> str:
    """The name of the run in a folder of the trash, the path of the part of one, or "" for anything else."""
    run = RunFolder(path)
    if valid_name(name) and (run.run_file.is_file() or is_orphan(run)):
        return name
    inside = path
    while (inner := _only(inside)) is not None:
        inside = inner
        owner, *part = inside.relative_to(path).parts
        if _PART.fullmatch("/".join(part)):
            return f"{owner}/{'/'.join(part)}" if valid_name(owner) and name.startswith(f"{owner}-") else ""
    return ""


def _only(folder: Path) -> Path | None:
    """The one thing that a folder holds; None where there is none, another, or no folder."""
    if folder.is_symlink():
        return None
    try:
        found = list(folder.iterdir())
    except OSError:
        return None
    return found[0] if len(found) == 1 else None


def _refuse_links(*paths: Path) -> None:
    for path in paths:
        if path.is_symlink():
            raise UsageError("is a symbolic link", where=str(path), fix="delete or move its target by hand")


def _refuse_if_needed(root: Path, run: RunFolder) -> None:
    for fork in waiting_forks(root, run):
        what = f"is needed by its fork {fork}, which has no checkpoint of its own yet"
        raise UsageError(what, where=run.name, fix=f"train {fork} to its first checkpoint, or delete it before")
