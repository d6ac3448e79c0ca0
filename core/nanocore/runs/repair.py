"""Repairing a run folder: what died is swept, what is broken moves into the trash, and nothing good is touched."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from nanocore.checkpoint.lost import place_lost
from nanocore.checkpoint.manifest import folders, leftovers, sweep
from nanocore.checkpoint.record import examine
from nanocore.errors import ResourceError, remedy
from nanocore.runs.documents import Flawed, Newer, Unreadable, write_document
from nanocore.runs.integrity import documents, exports, records
from nanocore.runs.layout import RunFolder
from nanocore.runs.rebuild import rebuilt
from nanocore.runs.records import RecordWriter
from nanocore.runs.resting import refuse_work, resting
from nanocore.runs.status import load_status
from nanocore.runs.temporaries import dead_temporaries, remove
from nanocore.runs.text import sanitize_line
from nanocore.runs.traces import began, last_saved
from nanocore.runs.trash import to_trash


@dataclass(frozen=True)
class Action:
    """What was done, or in a dry run would be done, to one part of a run, and why. `place` is where it went; what a
    repair cannot mend `stays` broken."""

    part: str
    done: str
    why: str
    place: str = ""
    stays: bool = False


def repair(root: Path, run: RunFolder, *, dry: bool = False) -> list[Action]:
    """Repair a run of `root` that nobody works on; with `dry` say only what would be done.

    Broken checkpoints are moved into the trash, from which they can be moved back: none is deleted. One that a newer
    version wrote, or that the system does not let be read, stays. A status that cannot be read or is missing is written
    anew from the records, and missing records begin anew, empty. What stays broken is told, and so is that no checkpoint
    is left of a run that had some. Raises BusyError while the run is in use, ResourceError when something cannot be moved or removed.
    """
    refuse_work(run, "repair")
    with nullcontext() if dry else resting(run, "repair"):
        try:
            moved = [*_swept(run, dry), *_quarantined(root, run, dry)]
            mended = [*_status(root, run, dry), *_records(run, dry)]
            return [*moved, *mended, *_hopeless(run, mended), *_placeless(run, moved)]
        except OSError as error:
            raise ResourceError(f"cannot be repaired: {error.strerror}", where=run.name, fix=remedy(error)) from None


def _swept(run: RunFolder, dry: bool) -> list[Action]:
    saves = [path.name for path in leftovers(run.checkpoints_dir)] if dry else sweep(run.checkpoints_dir)
    dead = dead_temporaries(run)
    for path in dead if not dry else []:
        remove(path)
    names = [*(f"checkpoints/{name}" for name in saves), *(str(path.relative_to(run.path)) for path in dead)]
    return [Action(sanitize_line(name, 120), "swept", "left by a process that died") for name in names]


def _quarantined(root: Path, run: RunFolder, dry: bool) -> list[Action]:
    """Damaged checkpoints and exports."""
    damaged = {path: _damage(path) for path in folders(run.checkpoints_dir)}
    damaged |= {run.path / each.part: each.detail for each in exports(run) if each.state == "broken"}
    found = []
    for path, why in damaged.items():
        if why:
            place = _away(lambda path=path: to_trash(root, path, f"{run.name}-{path.name}"), dry)
            part = sanitize_line(str(path.relative_to(run.path)), 120)
            found.append(Action(part, "moved to the trash", sanitize_line(why, 200), place))
    return found


def _damage(checkpoint: Path) -> str:
    return next((problem.text for problem in examine(checkpoint) if problem.kind == "damaged"), "")


def _away(move: Callable[[], Path], dry: bool) -> str:
    return "" if dry else str(move())


def _status(root: Path, run: RunFolder, dry: bool) -> list[Action]:
    """A damaged or missing status hides what became of the run; its records tell it. One that never began has none."""
    try:
        if load_status(run) is not None or not began(run):
            return []
        why = "is missing"
    except (Newer, Unreadable):
        return []
    except Flawed as flaw:
        why = str(flaw)
    lies = os.path.lexists(run.status_file)
    place = _away(lambda: to_trash(root, run.status_file, f"{run.name}-status"), dry) if lies else ""
    if began(run) and not dry:
        write_document(run.status_file, rebuilt(run))
    done = "written anew from the records" if began(run) else "moved to the trash"
    return [Action(run.status_file.name, done, why, place)]


def _records(run: RunFolder, dry: bool) -> list[Action]:
    """Records that are gone do not come back; an empty file is what readers and a next attempt go on from."""
    gone = [each for each in records(run) if each.state == "broken" and not os.path.lexists(run.path / each.part)]
    for each in gone if not dry else []:
        RecordWriter(run.path / each.part).close()
    return [Action(each.part, "begun anew, empty", each.detail) for each in gone]


def _hopeless(run: RunFolder, mended: list[Action]) -> list[Action]:
    """What only a copy from elsewhere can mend."""
    done = {run.status_file.name, *(action.part for action in mended)}
    broken = [each for each in (*documents(run), *records(run)) if each.state == "broken" and each.part not in done]
    return [Action(each.part, "stays broken: put a copy back", each.detail, stays=True) for each in broken]


def _placeless(run: RunFolder, moved: list[Action]) -> list[Action]:
    """That nothing is left to go on from, where all checkpoints were damaged or gone before."""
    away = {action.part for action in moved}
    if any(f"checkpoints/{path.name}" not in away for path in folders(run.checkpoints_dir)):
        return []
    step = last_saved(run)
    return [Action("checkpoints", "stays broken: none is left", place_lost(run, step), stays=True)] if step else []
