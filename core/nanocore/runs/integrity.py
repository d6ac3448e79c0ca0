"""Whether everything in a run folder is what was written there: documents, records, checkpoints, exports."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nanocore.checkpoint.manifest import folders, leftovers
from nanocore.checkpoint.record import examine
from nanocore.errors import ConfigError, FormatError, UsageError
from nanocore.export.sealed import beside, check_export
from nanocore.runs.documents import Flawed
from nanocore.runs.facts import load_facts
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import observe
from nanocore.runs.notes import read_notes
from nanocore.runs.records import Tail
from nanocore.runs.status import load_status
from nanocore.runs.temporaries import dead_temporaries
from nanocore.runs.text import sanitize_line

State = Literal["whole", "broken", "unverified", "note"]
UNKNOWN = "not verified: no hash of it is recorded"


@dataclass(frozen=True)
class Finding:
    """One part of a run. "unverified": nothing says what it should be; "note": it costs nothing, and is worth knowing."""

    run: str
    part: str
    state: State
    detail: str = ""


def verify_run(run: RunFolder) -> Iterator[Finding]:
    """Every part of a run, each after it was read whole: slow for large checkpoints. Changes nothing, raises nothing."""
    yield from documents(run)
    for path in (run.metrics_file, run.layers_file, run.events_file):
        yield from (_found(run, path, *told) for told in _records(path))
    yield from (_found(run, path, *_checkpoint(path)) for path in folders(run.checkpoints_dir))
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


def exports(run: RunFolder) -> Iterator[Finding]:
    """What lies in `exports`, by its hashes."""
    for path in _inside(run.exports_dir):
        yield _found(run, path, *_export(path))


def _found(run: RunFolder, path: Path, state: State, detail: str = "") -> Finding:
    part = sanitize_line(str(path.relative_to(run.path)), 120)
    return Finding(run.name, part, state, sanitize_line(detail, 200))


def _facts_problem(run: RunFolder) -> str:
    try:
        load_facts(run)
    except UsageError as error:
        return error.what
    return ""


def _config_problem(run: RunFolder) -> str:
    from nanocore.config.toml import load  # pydantic, which readers of runs do not need

    try:
        load(run.config_file)
    except ConfigError as error:
        return error.problems[0].replace(f"{run.path}{os.sep}", "")  # what it is of is told beside
    return ""


def _status_problem(run: RunFolder) -> str:
    try:
        load_status(run)
    except Flawed as flaw:
        return str(flaw)
    return ""


def _records(path: Path) -> Iterator[tuple[State, str]]:
    """A crash may tear a line, which readers pass over: worth a note, and no more."""
    if not os.path.lexists(path):
        return
    if not path.is_file() or not os.access(path, os.R_OK):
        yield "broken", "cannot be read"
        return
    tail, count = Tail(path), 0
    while (found := len(tail.read())) or tail.pending:
        count += found
    passed = f", {tail.skipped} torn lines passed over" if tail.skipped else ""
    yield "note" if tail.skipped else "whole", f"{count} records{passed}"


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
