"""Whether everything in a run folder is what was written there: documents, records, checkpoints, exports."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from nanocore.checkpoint.lost import lost_place
from nanocore.checkpoint.manifest import available, folders, leftovers
from nanocore.checkpoint.record import STATE, examine
from nanocore.errors import ConfigError, FormatError, UsageError
from nanocore.export.sealed import beside, check_export
from nanocore.runs.documents import Flawed, read_document
from nanocore.runs.facts import load_facts
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import observe
from nanocore.runs.notes import read_notes
from nanocore.runs.orphans import is_orphan
from nanocore.runs.records import Tail
from nanocore.runs.status import load_status, read_status
from nanocore.runs.temporaries import dead_temporaries
from nanocore.runs.text import sanitize_line
from nanocore.runs.traces import began

if TYPE_CHECKING:
    from nanocore.config.schema import Config

State = Literal["whole", "broken", "unverified", "note"]
UNKNOWN = "not verified: no hash of it is recorded"


class _State(msgspec.Struct):
    config: dict[str, Any]


class _Document(msgspec.Struct):
    """The part of a checkpoint's state.json that says by which configuration it was trained."""

    state: _State


@dataclass(frozen=True)
class Finding:
    """One part of a run. "unverified": nothing says what it should be; "note": nothing has to be done, and it is worth
    knowing."""

    run: str
    part: str
    state: State
    detail: str = ""


def verify_run(run: RunFolder) -> Iterator[Finding]:
    """Every part of a run, each after it was read whole: slow for large checkpoints. Changes nothing, raises nothing."""
    yield from documents(run)
    yield from records(run)
    yield from (_found(run, path, *_checkpoint(path)) for path in folders(run.checkpoints_dir))
    if lost := lost_place(run):
        yield _found(run, run.checkpoints_dir, "note", f"{lost.what}, {lost.fix}")
    yield from exports(run)
    yield from _left(run)


def documents(run: RunFolder) -> Iterator[Finding]:
    """The small files of a run."""
    for path, reason in (
        (run.run_file, _facts_problem(run)),
        (run.config_file, _config_problem(run)),
        (run.status_file, _status_problem(run)),
        (run.notes_file, read_notes(run).problem),
    ):
        if reason or path.exists():
            yield _found(run, path, "broken" if reason else "whole", reason)


def records(run: RunFolder) -> Iterator[Finding]:
    """Metrics, telemetry of layers, events: all that is in them, and that they are there in a run that trained."""
    trained = _trained(run)
    for path in (run.metrics_file, run.events_file, run.layers_file):
        needed = trained and path != run.layers_file  # of layers there need not be any
        yield from (_found(run, path, *told) for told in _records(path, needed=needed))


def exports(run: RunFolder) -> Iterator[Finding]:
    """What lies in `exports`, by its hashes."""
    for path in _inside(run.exports_dir):
        yield _found(run, path, *_export(path))


def _found(run: RunFolder, path: Path, state: State, detail: str = "") -> Finding:
    part = sanitize_line(str(path.relative_to(run.path)), 120)
    return Finding(run.name, part, state, sanitize_line(detail, 300))


def _facts_problem(run: RunFolder) -> str:
    try:
        load_facts(run)
    except UsageError as error:
        free = f"; put a copy back, or free its name with `runs delete {run.name}`" if is_orphan(run) else ""
        return f"{error.what}{free}"
    return ""


def _config_problem(run: RunFolder) -> str:
    from nanocore.config.toml import parse, read_text
    from nanocore.config.validate import build  # pydantic, which readers of runs do not need

    where = str(run.config_file)
    try:
        table = parse(read_text(run.config_file), where=where)
        config = build(table, where=where)
    except ConfigError as error:
        return error.problems[0].replace(f"{run.path}{os.sep}", "")  # what it is of is told beside
    return _not_as_trained(run, config) if table.keys() - {"schema"} else "is empty, and would be read as the defaults"


def _not_as_trained(run: RunFolder, config: Config) -> str:
    """What differs from the newest checkpoint's own copy so that no resume would take it; a file that was cut between two
    sections is read with their defaults."""
    from nanocore.config.continuation import resume_conflicts, some
    from nanocore.config.validate import build

    checkpoints = available(run.checkpoints_dir)
    document = read_document(checkpoints[-1] / STATE, _Document) if checkpoints else None
    try:
        conflicts = resume_conflicts(build(document.state.config), config) if document else []
    except ConfigError:  # of an earlier or later version
        return ""
    return f"is not what {checkpoints[-1].name} was trained with: {some(conflicts)}" if conflicts else ""


def _status_problem(run: RunFolder) -> str:
    try:
        return "is missing" if load_status(run) is None and began(run) else ""
    except Flawed as flaw:
        return str(flaw)


def _trained(run: RunFolder) -> bool:
    status = read_status(run)
    return bool(folders(run.checkpoints_dir)) or (status is not None and status.step > 0)


def _records(path: Path, *, needed: bool) -> Iterator[tuple[State, str]]:
    """A crash may tear a line, and a full disk may lose all: worth a note, and no more. The file itself is `needed`."""
    if not os.path.lexists(path):
        if needed:
            yield "broken", "is missing, though it trained"
        return
    if not path.is_file() or not os.access(path, os.R_OK):
        yield "broken", "cannot be read"
        return
    tail, count = Tail(path), 0
    while (found := len(tail.read())) or tail.pending:
        count += found
    passed = f", {tail.skipped} torn lines passed over" if tail.skipped else ""
    lost = ", though it trained" if needed and not count else ""
    yield "note" if passed or lost else "whole", f"{count} records{passed}{lost}"


def _checkpoint(path: Path) -> tuple[State, str]:
    problems = examine(path)
    newer = all(problem.kind == "newer" for problem in problems)
    return ("whole", "") if not problems else ("unverified" if newer else "broken", problems[0].text)


def _export(path: Path) -> tuple[State, str]:
    try:
        return ("whole", "") if check_export(path) else ("unverified", UNKNOWN)
    except FormatError as error:
        return "broken", error.what


def _inside(folder: Path) -> list[Path]:
    """What lies in `exports`, but for hashes beside files, which belong to those, and what is being written."""
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []
    return [path for path in found if path.suffix != ".sha256" or not any(path == beside(other) for other in found)]


def _left(run: RunFolder) -> Iterator[Finding]:
    """What died before it was finished."""
    saves = [] if observe(run).at_work else leftovers(run.checkpoints_dir)
    for path in (*saves, *dead_temporaries(run)):
        yield _found(run, path, "note", "left by a process that died; repair sweeps it")
