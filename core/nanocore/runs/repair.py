"""Repairing a run folder: what died is swept, what is broken moves into the trash, and nothing good is touched."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from nanocore.checkpoint.manifest import folders, leftovers, sweep
from nanocore.checkpoint.record import examine
from nanocore.errors import ResourceError, remedy
from nanocore.runs.curve import newest_attempts
from nanocore.runs.documents import Flawed, Newer, Unreadable, write_document
from nanocore.runs.integrity import documents, exports
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import read_all
from nanocore.runs.resting import refuse_work, resting
from nanocore.runs.status import Status, known_attempts, load_status
from nanocore.runs.temporaries import dead_temporaries, remove
from nanocore.runs.text import sanitize_line
from nanocore.runs.trash import to_trash

_KEEP = 1 << 16  # bytes at the end of metrics and events that tell the last step and attempt


@dataclass(frozen=True)
class Action:
    """What was done, or in a dry run would be done, to one part of a run, and why. `place` is where it went."""

    part: str
    done: str
    why: str
    place: str = ""


def repair(root: Path, run: RunFolder, *, dry: bool = False) -> list[Action]:
    """Repair a run of `root` that nobody works on; with `dry` say only what would be done.

    Broken checkpoints are moved into the trash, from which they can be moved back: none is deleted. One that a newer
    version wrote, or that the system does not let be read, stays. A status that cannot be read is written anew from the
    records. Raises BusyError while the run is in use, ResourceError when something cannot be moved or removed.
    """
    refuse_work(run, "repair")
    with nullcontext() if dry else resting(run, "repair"):
        try:
            return [*_swept(run, dry), *_quarantined(root, run, dry), *_status(root, run, dry), *_hopeless(run)]
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
    """A damaged status hides what became of the run; its records tell the step and the attempt."""
    try:
        load_status(run)
        return []
    except (Newer, Unreadable):
        return []
    except Flawed as flaw:
        place = _away(lambda: to_trash(root, run.status_file, f"{run.name}-status"), dry)
        if not dry:
            write_document(run.status_file, _rebuilt(run))
        return [Action(run.status_file.name, "written anew from the records", str(flaw), place)]


def _hopeless(run: RunFolder) -> list[Action]:
    """What only a copy from elsewhere can mend."""
    broken = [each for each in documents(run) if each.state == "broken" and each.part != run.status_file.name]
    return [Action(each.part, "stays broken: put a copy back", each.detail) for each in broken]


def _rebuilt(run: RunFolder) -> Status:
    records = newest_attempts(read_all(run.metrics_file, keep=_KEEP))
    known = known_attempts([*records, *read_all(run.events_file, keep=_KEEP)])
    message = "its status was damaged and written anew by a repair"
    step = records[-1]["step"] if records else 0
    return Status(state="crashed", phase="ended", step=step, attempt=max(known, default=1), message=message)
