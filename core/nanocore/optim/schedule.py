"""The learning rate over a run, as a table of phases looked up by step.

A schedule is data: `phases(schedule, steps)` lists what happens from which step to which, and every question (factor,
weight decay, name of the phase) is answered from that list. Nothing is remembered between calls, so the horizon `steps`
may change while a run goes on (a run measured in hours learns its length on the way), and a resumed run asks the same
question and gets the same answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from nanocore.config.sections import Schedule

PhaseName = Literal["warmup", "stable", "decay"]


@dataclass(frozen=True)
class Phase:
    """Steps `start` to `end` (exclusive); `factor(t)` is the share of the peak rate at progress t in [0, 1]."""

    name: PhaseName
    start: int
    end: int
    factor: Callable[[float], float]


# What is left of the way from the peak to the final rate after a share t of the decay. "1-sqrt" was the best cooldown
# of arXiv 2405.18392, figure 5; "linear" came close to it.
DECAY_SHAPES: dict[str, Callable[[float], float]] = {
    "linear": lambda t: 1.0 - t,
    "1-sqrt": lambda t: 1.0 - math.sqrt(t),
    "cosine": lambda t: 0.5 * (1.0 + math.cos(math.pi * t)),
}


def phases(schedule: Schedule, steps: int) -> tuple[Phase, ...]:
    """The phases of a run of `steps` updates, in order, without gaps; empty ones are left out.

    Warm-up step s (from 0) has factor (s + 1) / warmup_steps, so the first update already moves. A decay over L steps
    has t = (s - start) / L: it starts at the peak, and reaches the final rate after the last update.
    """
    warmup = min(schedule.warmup_steps, steps)
    decay = _decay_start(schedule, warmup, steps)
    shape = DECAY_SHAPES[schedule.kind if schedule.kind in ("linear", "cosine") else schedule.decay_shape]
    final = schedule.final_fraction
    table = (
        # A horizon shorter than the warm-up cuts it off; the slope stays the configured one.
        Phase("warmup", 0, warmup, lambda t: (t * warmup + 1.0) / max(1, schedule.warmup_steps)),
        Phase("stable", warmup, decay, lambda t: 1.0),
        Phase("decay", decay, steps, lambda t: final + (1.0 - final) * shape(t)),
    )
    return tuple(phase for phase in table if phase.end > phase.start)


def _decay_start(schedule: Schedule, warmup: int, steps: int) -> int:
    if schedule.kind == "constant":
        return steps
    if schedule.kind == "wsd":
        return max(warmup, steps - round(schedule.decay_fraction * steps))
    return warmup


def _at(schedule: Schedule, step: int, steps: int) -> tuple[Phase, float]:
    """The phase of a step and the progress in it; after the end, the last phase at t = 1."""
    table = phases(schedule, steps)
    for phase in table:
        if step < phase.end:
            return phase, (step - phase.start) / (phase.end - phase.start)
    return table[-1], 1.0


def lr_factor(schedule: Schedule, step: int, steps: int) -> float:
    """Learning rate of update `step` (from 0) in a run of `steps` >= 1 updates, as a share of each group's peak."""
    at, progress = _at(schedule, step, steps)
    return at.factor(progress)


def weight_decay_factor(schedule: Schedule, step: int, steps: int) -> float:
    """1, or 0 in the decay phase where `decay_weight_decay` asks for it (BitNet's second stage, arXiv 2504.12285)."""
    return 0.0 if schedule.decay_weight_decay and phase(schedule, step, steps) == "decay" else 1.0


def phase(schedule: Schedule, step: int, steps: int) -> PhaseName:
    """Name of the phase that update `step` belongs to."""
    return _at(schedule, step, steps)[0].name
