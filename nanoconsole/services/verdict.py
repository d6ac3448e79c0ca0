"""The answer to "is it healthy?" in one line of plain words, from what the run itself recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from nanoconsole.services.format import number
from nanoconsole.services.history import History
from nanoconsole.services.trend import WINDOW, trend
from nanocore.runs.liveness import RunState
from nanocore.runs.metrics import METRICS, healthy
from nanocore.runs.stall import Stall
from nanocore.runs.text import sanitize_line

STEADY = 0.005  # relative change that is still called level
RISE = 0.03  # relative rise that is worth a warning

Level = Literal["good", "info", "warning", "bad"]
ENDS: dict[str, Level] = {"crashed": "bad", "diverged": "bad", "unknown": "warning", "gone": "warning"}


@dataclass(frozen=True)
class Verdict:
    """`level` chooses the mark and colour, `text` says it in words."""

    level: Level
    text: str


def judge(state: RunState, history: History, stall: Stall | None, streams: str = "") -> Verdict:
    """The verdict on a run: how it ended, whether it gets on, and what its newest numbers say.

    `streams` are the trainer's words on its residual streams, said while they are not healthy.
    """
    words = sanitize_line(state.reason if state.state in state.reason else state.text)
    if not state.alive:
        return Verdict(ENDS.get(state.state, "info"), words)
    if stall is not None:
        return Verdict("warning", sanitize_line(stall.text))
    losses = history.tail("loss/ce", WINDOW)
    if state.state != "running" or not len(losses):
        return Verdict("info", words)
    return _training(history, losses, streams)


def _training(history: History, losses: np.ndarray, streams: str) -> Verdict:
    """What the newest losses and the health ranges of the registry say."""
    bad = int(np.count_nonzero(~np.isfinite(losses)))
    if bad:
        return Verdict("bad", f"non-finite loss in {bad} of the last {len(losses)} logged steps")
    if streams and (ill := history.last("mhc/health")):
        return Verdict("bad" if ill > 1 else "warning", sanitize_line(streams))
    for name in METRICS:
        value = history.last(name)
        if value is not None and not healthy(name, value):
            return Verdict("warning", f"{name} is {number(value)}, outside its healthy range")
    change = trend(losses.tolist())
    if change is None:
        return Verdict("info", f"warming up: {len(losses)} logged steps so far")
    course = "is level" if abs(change) < STEADY else f"{'falls' if change < 0 else 'rises'} {abs(change):.1%}"
    words = f"loss {course} {_stretch(history, len(losses))}"
    return Verdict("warning", words) if change > RISE else Verdict("good", f"healthy: {words}")


def _stretch(history: History, points: int) -> str:
    """From which step to which the newest `points` losses reach; the older half of them is compared with the newer."""
    steps = history.steps("loss/ce", points)
    return f"from step {steps[0]:,.0f} to {steps[-1]:,.0f}"
