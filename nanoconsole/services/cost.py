"""What a configuration will cost: arithmetic for size and memory, and for time the nearest run that really finished."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nanocore.config import toml
from nanocore.config.estimate import Estimate, estimate
from nanocore.config.schema import Config, seconds
from nanocore.errors import NanoError
from nanocore.runs.curve import newest_attempts, value
from nanocore.runs.identity import host_name
from nanocore.runs.layout import RunFolder, list_runs
from nanocore.runs.records import read_all
from nanocore.runs.status import read_status

if TYPE_CHECKING:
    from nanoconsole.services.draft import Draft

NEAR = math.log(2.0)  # a run is like another when arithmetic per token differs by less than this factor
NEWEST = 50  # runs looked at
TAIL_BYTES = 1 << 16
MOST_EFFECTS = 16  # changed keys whose effect is worked out; each takes an estimate


@dataclass(frozen=True)
class Timing:
    """How fast a finished run of this machine was, in floating-point operations per second of training."""

    run: str
    flops_per_token: float
    flops_per_second: float
    hardware: tuple[object, ...]


@dataclass(frozen=True)
class Cost:
    """An estimate, with seconds of training (None when unknown) and the run they are taken from, if from one."""

    estimate: Estimate
    seconds: float | None
    like: str

    @property
    def source(self) -> str:
        """Where the length of the training is known from, in words."""
        if self.like:
            return f"at the speed of run {self.like} on this machine"
        return "no finished run like it on this machine" if self.seconds is None else "as training.duration says"


@dataclass(frozen=True)
class Effect:
    """What one change of a draft adds, all other changes made: parameters, and bytes of tensors at the peak."""

    parameters: int
    peak_bytes: int


def effects(draft: Draft) -> dict[str, Effect]:
    """The effect of every changed key by itself, where the draft is valid with and without it."""
    if draft.config is None:
        return {}
    others = {key: draft.without(key) for key in draft.touched[:MOST_EFFECTS]}
    try:
        after = estimate(draft.config)
        before = {key: estimate(config) for key, config in others.items() if config is not None}
    except NanoError:
        return {}
    return {
        key: Effect(after.parameters - one.parameters, after.peak_bytes - one.peak_bytes) for key, one in before.items()
    }


def cost(config: Config, timings: list[Timing]) -> Cost:
    """The cost of training `config` here. Raises DataError when its tokenizer file cannot be read."""
    figures = estimate(config)
    if config.training.duration:
        return Cost(figures, float(seconds(config.training.duration)), "")
    near = nearest(config, figures, timings)
    if near is None:
        return Cost(figures, None, "")
    return Cost(figures, figures.tokens * figures.flops_per_token / near.flops_per_second, near.run)


def nearest(config: Config, figures: Estimate, timings: list[Timing]) -> Timing | None:
    """The finished run most like `config` on the same hardware settings; None when there is none."""
    alike = [timing for timing in timings if timing.hardware == _hardware(config)]
    found = min(alike, key=lambda timing: _distance(timing, figures), default=None)
    return found if found is not None and _distance(found, figures) < NEAR else None


def _distance(timing: Timing, figures: Estimate) -> float:
    return abs(math.log(timing.flops_per_token / figures.flops_per_token))


def read_timings(root: Path) -> list[Timing]:
    """The speeds of the newest runs of `root` that finished on this machine. Reads them all: call it in a thread."""
    try:
        runs = sorted(list_runs(root), key=lambda run: run.run_file.stat().st_mtime, reverse=True)
    except (NanoError, OSError):  # unreadable, or a run removed meanwhile: no timing is known
        return []
    return [timing for run in runs[:NEWEST] if (timing := _timing(run)) is not None]


def _timing(run: RunFolder) -> Timing | None:
    status = read_status(run)
    if status is None or status.state != "finished" or status.host != host_name():
        return None
    records = newest_attempts(read_all(run.metrics_file, keep=TAIL_BYTES))
    elapsed = next((found for record in reversed(records) if (found := value(record, "elapsed")) is not None), 0.0)
    if not 0 < elapsed < math.inf or not status.tokens:
        return None
    try:
        config = toml.load(run.config_file)
        per_token = float(estimate(config).flops_per_token)
    except NanoError:
        return None
    return Timing(run.name, per_token, per_token * status.tokens / elapsed, _hardware(config))


def _hardware(config: Config) -> tuple[object, ...]:
    """The keys that change the speed by more than their arithmetic does."""
    return (config.hardware.device, config.hardware.dtype, config.hardware.threads, config.model.linear)
