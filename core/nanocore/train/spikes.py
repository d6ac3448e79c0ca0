"""Loss spikes: a step whose loss or gradient norm lies far above those of the steps before it.

The rule of OLMo-core's SkipStepOptimizer: more than six standard deviations above the mean of a window of 128 steps,
judged once half the window is known. Only steps whose update was applied enter the window, so a spike that was left
out does not widen the range for the next one.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field

WINDOW = 128  # steps
LEAST = 64  # steps known before anything is judged
SIGMAS = 6.0


@dataclass
class SpikeWindow:
    """Loss (nats per token) and gradient norm of the newest applied steps, oldest first. Part of a checkpoint."""

    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)

    def judge(self, loss: float, norm: float) -> str:
        """What makes a step a spike, in words; "" when it is none, or not enough steps are known."""
        found = (_above("loss", loss, self.losses), _above("gradient norm", norm, self.norms))
        return ", ".join(each for each in found if each)

    def take(self, loss: float, norm: float) -> None:
        """A step whose update was applied."""
        for values, value in ((self.losses, loss), (self.norms, norm)):
            values.append(value)
            del values[:-WINDOW]


def _above(name: str, value: float, before: list[float]) -> str:
    if len(before) < LEAST or not math.isfinite(value):
        return ""
    mean, deviation = statistics.fmean(before), statistics.stdev(before)
    if deviation == 0.0 or value <= mean + SIGMAS * deviation:
        return ""
    sigmas = (value - mean) / deviation
    return f"{name} {value:.4g} is {sigmas:.1f} standard deviations above the mean {mean:.4g} of {len(before)} steps"
