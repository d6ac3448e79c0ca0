"""Check: learning rate and weight decay at every step of a run, against the closed forms."""

from __future__ import annotations

import math

from nanocore.config.sections import Schedule
from nanocore.optim import schedule as ours
from nanocore.validation.outcome import Found, expect, within
from nanocore.validation.workshop import Workshop

STEPS, WARMUP, SHARE, FINAL = 50, 5, 0.4, 0.1
DECAY_START = STEPS - round(SHARE * STEPS)
SHAPES = {
    "linear": lambda t: 1 - t,
    "1-sqrt": lambda t: 1 - math.sqrt(t),
    "cosine": lambda t: (1 + math.cos(math.pi * t)) / 2,
}


def check(_: Workshop) -> Found:
    worst = 0.0
    for shape in SHAPES:
        table = {"kind": "wsd", "decay_shape": shape, "decay_weight_decay": True}
        worst = max(worst, _compare(_schedule(**table), shape, DECAY_START))
    for kind, start in (("linear", WARMUP), ("cosine", WARMUP), ("constant", STEPS)):
        worst = max(worst, _compare(_schedule(kind=kind), kind, start))
    return Found(
        f"{STEPS} steps of 6 schedules, worst error {worst:.0e}",
        "warm-up (s + 1) / w, the peak, then the decay to 10 %; weight decay is 0 from the decay on where that is asked for",
    )


def _schedule(**table: object) -> Schedule:
    return Schedule.model_validate({"warmup_steps": WARMUP, "decay_fraction": SHARE, "final_fraction": FINAL, **table})


def _compare(schedule: Schedule, shape: str, start: int) -> float:
    worst = 0.0
    for step in range(STEPS):
        off = abs(ours.lr_factor(schedule, step, STEPS) - _factor(shape, start, step))
        worst = max(worst, within(f"{schedule.kind}, {shape}: step {step}: error", off, 1e-12))
        decay = 0.0 if schedule.decay_weight_decay and step >= start else 1.0
        found = ours.weight_decay_factor(schedule, step, STEPS)
        expect(found == decay, f"step {step}: weight decay times {found}", f"times {decay}")
    return worst


def _factor(shape: str, start: int, step: int) -> float:
    if step < WARMUP:
        return (step + 1) / WARMUP
    if step < start:
        return 1.0
    return FINAL + (1 - FINAL) * SHAPES[shape]((step - start) / (STEPS - start))
