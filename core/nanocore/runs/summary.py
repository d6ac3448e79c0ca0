"""What a list of runs shows, read cheaply: small documents and the ends of the record files."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from nanocore.checkpoint.manifest import available
from nanocore.runs.create import read_run
from nanocore.runs.curve import newest_attempts, value
from nanocore.runs.facts import RunFacts, problem_of, read_facts
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import RunState, observe
from nanocore.runs.records import Record, read_all

SCHEMA = 1
_KEEP = 1 << 16  # bytes read from the end of metrics and events


@dataclass(frozen=True)
class Summary:
    """One run in a list. `loss` and `bits_per_byte` are None when unknown, nan or inf when they were not finite.

    `created` is Unix time, `eta` seconds of training left, `tokens_per_second` that of the last records.
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


def summarize(run: RunFolder) -> Summary:
    """Everything the list shows about a run. Never raises for a damaged folder; what cannot be read is unknown."""
    return _summary(run, observe(run), read_facts(run))


def export_json(run: RunFolder) -> dict[str, Any]:
    """The run as one JSON document: summary, run.json, pid and checkpoints. Non-finite numbers are null and named."""
    state = observe(run)
    summary = asdict(_summary(run, state, read_facts(run)))
    nonfinite = {key: str(value) for key, value in summary.items() if _is_nonfinite(value)}
    return {
        "schema": SCHEMA,
        **{key: None if key in nonfinite else value for key, value in summary.items()},
        **({"nonfinite": nonfinite} if nonfinite else {}),
        "path": str(run.path),
        "problem": problem_of(run) or None,
        "pid": state.pid if state.alive else None,
        "checkpoints": [folder.name for folder in available(run.checkpoints_dir)],
        "run": read_run(run),
    }


def _summary(run: RunFolder, state: RunState, facts: RunFacts) -> Summary:
    metrics = newest_attempts(read_all(run.metrics_file, keep=_KEEP))
    status = state.status
    step = max(status.step if status else 0, metrics[-1]["step"] if metrics else 0)
    steps = status.steps if status else 0
    bits = _last(metrics, "eval/bits_per_byte")
    if bits is None and metrics:  # evaluations are rare: the last may lie before what was read
        bits = _last(newest_attempts(read_all(run.events_file, keep=_KEEP)), "eval/bits_per_byte")
    return Summary(
        name=run.name,
        state=state.state,
        phase=state.phase,
        alive=state.alive,
        preset=facts.preset,
        step=step,
        steps=steps,
        tokens=status.tokens if status else 0,
        loss=_last(metrics, "loss/ce"),
        bits_per_byte=bits,
        tokens_per_second=_last(metrics, "throughput/tokens_per_sec"),
        eta=_seconds_left(metrics, steps - step) if state.alive and state.state == "running" else None,
        created=facts.created,
        message=state.reason,
    )


def _last(records: list[Record], key: str) -> float | None:
    """The newest value of a metric; None when it was never written."""
    return next((found for record in reversed(records) if (found := value(record, key)) is not None), None)


def _seconds_left(records: list[Record], steps: int) -> float | None:
    """Remaining steps at the pace of the last records, by the trainer's own monotonic `elapsed`."""
    timed = [(record["step"], found) for record in records if (found := value(record, "elapsed")) is not None]
    if len(timed) < 2 or steps <= 0:
        return None
    (first, begin), (last, end) = timed[max(0, len(timed) - 100)], timed[-1]
    return steps * (end - begin) / (last - first) if last > first and end > begin else None


def _is_nonfinite(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
