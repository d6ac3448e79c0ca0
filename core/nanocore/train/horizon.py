"""How many steps a run has: given as steps, as tokens, or as a length of time."""

from __future__ import annotations

import math

from nanocore.config.schema import Config, seconds
from nanocore.optim.schedule import phase

UNKNOWN_STEPS = 1_000_000_000  # the stable phase of any schedule, until the throughput is known
CALIBRATION_SECONDS = 60.0
CALIBRATION_SHARE = 0.1  # of a short run's time
RESERVE = 0.97  # share of the time planned for; the rest pays for the last evaluation and checkpoint


class Horizon:
    """The step at which the run ends.

    With `training.duration` the horizon is planned from the throughput of the first minute (or tenth
    of the time) and corrected as the run goes on; once the decay has begun it may only shrink, so
    the learning rate never rises again.
    """

    def __init__(self, config: Config, planned: int | None = None) -> None:
        training = config.training
        self._seconds = seconds(training.duration) if training.duration else 0
        self._schedule = config.schedule
        if self._seconds:
            self.steps = planned or UNKNOWN_STEPS
        elif training.tokens:
            self.steps = math.ceil(training.tokens / config.tokens_per_step)
        else:
            self.steps = training.steps

    @property
    def known(self) -> bool:
        return self.steps < UNKNOWN_STEPS

    def replan(self, step: int, elapsed: float, step_seconds: float) -> None:
        """Plan anew after `step` steps, `elapsed` seconds (all included) and the recent seconds per step."""
        if not self._seconds or elapsed < min(CALIBRATION_SECONDS, CALIBRATION_SHARE * self._seconds):
            return
        left = max(0.0, self._seconds * RESERVE - elapsed)
        planned = step + math.floor(left / max(step_seconds, 1e-9))
        decaying = self.known and phase(self._schedule, step, self.steps) == "decay"
        self.steps = max(step, min(self.steps, planned) if decaying else planned)
