"""What a run has done so far: the part of its state that is not weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass
class Progress:
    """Counters and positions that a checkpoint stores and a resume continues.

    `elapsed` is wall time in seconds of all attempts, pauses left out; `training_seconds` is the
    part spent in steps, so throughput never counts evaluation. `loader` is the data position of the
    last batch that was trained on.
    """

    step: int = 0
    tokens: int = 0
    elapsed: float = 0.0
    training_seconds: float = 0.0
    skipped_updates: int = 0
    horizon: int = 0
    loader: dict[str, Any] | None = None
    best_bits_per_byte: float | None = None
    last_eval: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Progress:
        known = {entry.name for entry in fields(cls)}
        return cls(**{key: value for key, value in stored.items() if key in known})
