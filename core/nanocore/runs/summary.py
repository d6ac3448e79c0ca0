"""What a list of runs shows, read cheaply: small documents and the ends of the record files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from nanocore.checkpoint.manifest import available
from nanocore.runs.create import read_run
from nanocore.runs.curve import NOT_METRICS, newest_attempts, number, value
from nanocore.runs.facts import RunFacts, problem_of, read_facts
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import RunState, observe
from nanocore.runs.notes import Notes, read_notes
from nanocore.runs.records import Record, read_all
from nanocore.runs.text import sanitize_line

SCHEMA = 1
_KEEP = 1 << 15  # bytes read from the end of metrics and events: some 50 to 200 records


@dataclass(frozen=True)
class Summary:
    """One run in a list. `loss` and `bits_per_byte` are None when unknown, nan or inf when they were not finite.

    `created` is Unix time, `eta` seconds of training left, `tokens_per_second` that of the last records. Every text is
    one safe line.
    """

    name: str
    state: str
    phase: str
    alive: bool
    preset: str
    step: int
    steps: int
    tokens: int
    loss: float | None
    bits_per_byte: float | None
    tokens_per_second: float | None
    eta: float | None
    created: float
    message: str


@dataclass(frozen=True)
class Measured:
    """What the ends of the record files tell: the newest step, the newest value of each metric (nan and inf included),
    the newest losses in order, and the pace in seconds of training a step."""

    step: int = 0
    newest: Mapping[str, float] = field(default_factory=dict)
    losses: tuple[float, ...] = ()
    pace: float | None = None


def summarize(run: RunFolder) -> Summary:
    """Everything the list shows about a run. Never raises for a damaged folder; what cannot be read is unknown."""
    return summary_of(run.name, observe(run), read_facts(run), read_measured(run))


def export_json(run: RunFolder) -> dict[str, Any]:
    """The run as one JSON document: summary, run.json, notes, pid and checkpoints. Non-finite numbers are null and
    named."""
    state = observe(run)
    summary = summary_of(run.name, state, read_facts(run), read_measured(run))
    return document(run, summary, read_notes(run), state.pid if state.alive else None)


def document(run: RunFolder, summary: Summary, notes: Notes, pid: int | None) -> dict[str, Any]:
    """As `export_json`, of a run whose summary and notes were read; `pid` is that of the process that works on it."""
    shown = asdict(summary)
    nonfinite = {key: str(value) for key, value in shown.items() if _is_nonfinite(value)}
    return {
        "schema": SCHEMA,
        **{key: None if key in nonfinite else value for key, value in shown.items()},
        **({"nonfinite": nonfinite} if nonfinite else {}),
        "tags": list(notes.tags),
        "note": notes.note,
        "archived": notes.archived,
        "path": str(run.path),
        "problem": problem_of(run) or notes.problem or None,
        "pid": pid,
        "checkpoints": [folder.name for folder in available(run.checkpoints_dir)],
        "run": read_run(run),
    }


def read_measured(run: RunFolder) -> Measured:
    """What the ends of a run's metrics and events tell."""
    metrics = newest_attempts(read_all(run.metrics_file, keep=_KEEP))
    newest = _newest(metrics)
    if metrics and "eval/bits_per_byte" not in newest:  # evaluations are rare: the last may lie before what was read
        told = _newest(newest_attempts(read_all(run.events_file, keep=_KEEP)))
        newest |= {key: number for key, number in told.items() if key.startswith("eval/") and key not in newest}
    return Measured(
        step=metrics[-1]["step"] if metrics else 0,
        newest=newest,
        losses=tuple(loss for record in metrics if (loss := value(record, "loss/ce")) is not None),
        pace=_pace(metrics),
    )


def summary_of(name: str, state: RunState, facts: RunFacts, measured: Measured) -> Summary:
    """A run's summary, from what was read of it."""
    status = state.status
    step, steps = max(status.step if status else 0, measured.step), status.steps if status else 0
    left = steps - step
    pace = measured.pace if state.alive and state.state == "running" and left > 0 else None
    return Summary(
        name=name,
        state=sanitize_line(state.state),
        phase=sanitize_line(state.phase),
        alive=state.alive,
        preset=sanitize_line(facts.preset),
        step=step,
        steps=steps,
        tokens=status.tokens if status else 0,
        loss=measured.newest.get("loss/ce"),
        bits_per_byte=measured.newest.get("eval/bits_per_byte"),
        tokens_per_second=measured.newest.get("throughput/tokens_per_sec"),
        eta=None if pace is None else left * pace,
        created=facts.created,
        message=sanitize_line(state.reason),
    )


def _newest(records: list[Record]) -> dict[str, float]:
    """The newest value of each metric."""
    last: Record = {}
    for record in records:  # as a rule the last word on each metric is a number, and nothing has to be looked for
        last.update(record)
    found: dict[str, float] = {}
    for key in last.keys() - NOT_METRICS:
        newest = number(last[key]) if type(last[key]) in (int, float) else _last_told(records, key)
        if newest is not None:
            found[key] = newest
    return found


def _last_told(records: list[Record], key: str) -> float | None:
    """The newest value of a metric whose last entry is no number; nan and inf are values too."""
    told = (value(record, key) for record in reversed(records) if key in record)
    return next((found for found in told if found is not None), None)


def _pace(records: list[Record]) -> float | None:
    """Seconds of training a step over the newest records, by the trainer's own monotonic `elapsed`."""
    timed = [(record["step"], found) for record in records if (found := value(record, "elapsed")) is not None]
    if len(timed) < 2:
        return None
    (first, begin), (last, end) = timed[max(0, len(timed) - 100)], timed[-1]
    return (end - begin) / (last - first) if last > first and end > begin else None


def _is_nonfinite(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
