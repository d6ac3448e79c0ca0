"""How many steps a run has: given as steps, as tokens, or as a length of time."""

from __future__ import annotations

import math

from nanocore.config.schema import Config, seconds
from nanocore.errors import UsageError
from nanocore.optim.schedule import phase
from nanocore.runs.layout import RunFolder
from nanocore.train.progress import Progress, newest_progress

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


def planned_steps(config: Config, progress: Progress) -> int | None:
    """The steps planned before the resume, unless another length of time is asked for now."""
    return progress.horizon if progress.duration == config.training.duration and progress.horizon else None


def planned(config: Config, run: RunFolder) -> int:
    """The steps that the run is to have, its checkpoints' plan included; 0 while that is not known."""
    horizon = Horizon(config, planned_steps(config, newest_progress(run)))
    return horizon.steps if horizon.known else 0


def refuse_if_done(config: Config, progress: Progress, *, where: str) -> None:
    """Raise UsageError when a run that came as far as `progress` would have nothing left to do under `config`."""
    training, step = config.training, progress.step
    if training.duration:
        fix = f"give more than {progress.elapsed:.0f}s: --set training.duration=TIME"
    elif training.tokens:
        fix = f"give more than {step * config.tokens_per_step} tokens: --set training.tokens=N"
    else:
        fix = f"give more than {step} steps: --set training.steps=N"
    spent = bool(training.duration) and seconds(training.duration) <= progress.elapsed
    if spent or Horizon(config, planned_steps(config, progress)).steps <= step:
        raise UsageError(f"step {step} is already done", where=where, fix=fix)
