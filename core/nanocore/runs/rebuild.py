"""The status of a run as its records and checkpoints tell it, for a status.json that is damaged or missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from nanocore.errors import NanoError
from nanocore.runs.curve import attempt_of, newest_attempts, usable
from nanocore.runs.layout import RunFolder
from nanocore.runs.postmortem import cause_of_death
from nanocore.runs.records import Record, read_all
from nanocore.runs.status import FINAL_STATES, Status, known_attempts

if TYPE_CHECKING:
    from nanocore.train.progress import Progress

_KEEP = 1 << 16  # bytes at the end of metrics and events that tell the last step and attempt
_MOST_TOKENS = 2**53


def rebuilt(run: RunFolder) -> Status:
    """What became of the last attempt, by its last word in the events, or by the log of one that had none."""
    from nanocore.train.progress import newest_progress

    metrics = newest_attempts(read_all(run.metrics_file, keep=_KEEP))
    events = [record for record in read_all(run.events_file, keep=_KEEP) if usable(record)]
    attempt = max(known_attempts([*metrics, *events]), default=1)
    last = _last_word(events, attempt)
    stored, newest = newest_progress(run), metrics[-1] if metrics else {}
    step = max(stored.step, newest.get("step", 0), last.get("step", 0))
    status = Status(phase="ended", step=step, tokens=max(stored.tokens, _tokens(newest)), attempt=attempt)
    return _ended(run, msgspec.structs.replace(status, steps=_steps(run, stored)), last)


def _last_word(events: list[Record], attempt: int) -> Record:
    """The event with which an attempt ended, {} where there is none."""
    ends = (each for each in reversed(events) if each.get("kind") in FINAL_STATES and attempt_of(each) == attempt)
    return next(ends, {})


def _ended(run: RunFolder, status: Status, last: Record) -> Status:
    """The status with state, exit code and message: the trainer's own, or a crash and its cause."""
    state, code, message = last.get("kind", "crashed"), last.get("exit_code"), last.get("message")
    if state == "crashed" and not isinstance(message, str):  # it had no word of its own: killed, or witnessed
        message = cause_of_death(run, status)
    elif state == "crashed" and code is None:
        code = 1
    return msgspec.structs.replace(
        status,
        state=state,
        steps=status.step if state == "finished" else status.steps,
        message=message if isinstance(message, str) else "",
        exit_code=code if type(code) is int and 0 <= code <= 255 else None,
    )


def _tokens(record: Record) -> int:
    tokens = record.get("tokens")
    return tokens if type(tokens) is int and 0 <= tokens <= _MOST_TOKENS else 0


def _steps(run: RunFolder, stored: Progress) -> int:
    """The steps that the configuration asks for, 0 where that is not known."""
    from nanocore.config.toml import load
    from nanocore.train.horizon import Horizon, planned_steps

    try:
        config = load(run.config_file)
    except NanoError:
        return 0
    horizon = Horizon(config, planned_steps(config, stored))
    return horizon.steps if horizon.known else 0
