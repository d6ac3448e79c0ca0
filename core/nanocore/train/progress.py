"""What a run has done so far: the part of its state that is not weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

import msgspec

from nanocore.checkpoint.manifest import available, step_of
from nanocore.checkpoint.record import STATE
from nanocore.runs.documents import read_document
from nanocore.runs.layout import RunFolder
from nanocore.train.spikes import SpikeWindow


@dataclass
class Progress:
    """Counters and positions that a checkpoint stores and a resume continues.

    `elapsed` is wall time in seconds of all attempts, pauses left out. `horizon` is the number of steps planned for
    `duration`, the length of time asked for. `loader` is the data position behind the last batch. `skipped` counts the
    updates left out in a row, `rollbacks` the returns to the checkpoint of step `rolled_to`.
    """

    step: int = 0
    tokens: int = 0
    elapsed: float = 0.0
    horizon: int = 0
    duration: str = ""
    loader: dict[str, Any] | None = None
    spikes: SpikeWindow = field(default_factory=SpikeWindow)
    skipped: int = 0
    rollbacks: int = 0
    rolled_to: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Progress:
        """What `to_json` gave; what it does not have is as before the first step."""
        known = {entry.name for entry in fields(cls)}
        values = {key: value for key, value in stored.items() if key in known}
        return cls(**{**values, "spikes": SpikeWindow(**values.get("spikes", {}))})


class _State(msgspec.Struct):
    progress: Progress


class _Document(msgspec.Struct):
    """The part of a checkpoint's state.json that says how far it came."""

    state: _State


def newest_progress(run: RunFolder) -> Progress:
    """How far the run's newest checkpoint came, by its small files alone; nothing done when there is none."""
    checkpoints = available(run.checkpoints_dir)
    if not checkpoints:
        return Progress()
    document = read_document(checkpoints[-1] / STATE, _Document)
    progress = document.state.progress if document else Progress()
    progress.step = step_of(checkpoints[-1])
    return progress
