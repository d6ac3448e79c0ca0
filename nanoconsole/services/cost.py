"""What a configuration will cost: arithmetic for size and memory, and for time the nearest run that really finished."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nanoconsole.services.format import duration, signed
from nanocore.config import toml
from nanocore.config.estimate import Estimate, estimate
from nanocore.config.flops import recomputed_per_token
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
SMALL = 0.0005  # a relative change that is told as none
MOST_EFFECTS = 16  # changed keys whose effect is worked out; each takes an estimate


@dataclass(frozen=True)
class Timing:
    """How fast a finished run of this machine was: its operations a token, and operations a second of training."""

    run: str
    work: float
    flops_per_second: float
    hardware: tuple[object, ...]


@dataclass(frozen=True)
class Cost:
    """An estimate, with seconds of training (None when unknown) and the run they are taken from, if from one.

    `work` is the operations of a token in training, what is computed twice included; `emulated` says that FP4 is
    imitated, which takes more than that.
    """

    estimate: Estimate
    work: float
    emulated: bool
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
    """What a change adds: parameters, bytes of tensors at the peak, and time.

    `work` is the relative change of arithmetic in training (0.1: a tenth more), `seconds` that of the time where a
    finished run tells it. `uncounted` says "slower" or "faster" where neither has all of it.
    """

    parameters: int
    peak_bytes: int
    work: float = 0.0
    seconds: float | None = None
    uncounted: str = ""


def effects(draft: Draft, timings: list[Timing]) -> dict[str, Effect]:
    """The effect of every changed key by itself, where the draft is valid with and without it."""
    if draft.config is None:
        return {}
    others = {key: draft.without(key) for key in draft.touched[:MOST_EFFECTS]}
    try:
        after = cost(draft.config, timings)
        before = {key: cost(config, timings) for key, config in others.items() if config is not None}
    except NanoError:
        return {}
    return {key: effect(one, after) for key, one in before.items()}


def effect(now: Cost, then: Cost) -> Effect:
    """What a configuration of cost `then` adds to one of cost `now`."""
    before, after = now.estimate, then.estimate
    seconds = None
    if now.seconds is not None and then.seconds is not None and now.like == then.like:
        seconds = then.seconds - now.seconds
    slower = {(False, True): "slower", (True, False): "faster"}.get((now.emulated, then.emulated), "")
    parameters, peak = after.parameters - before.parameters, after.peak_bytes - before.peak_bytes
    return Effect(parameters, peak, then.work / now.work - 1, seconds, slower)


def time_words(work: float, seconds: float | None, unit: str = "") -> str:
    """What a change adds to the time, or else to the arithmetic (`unit` behind it); "" for nothing."""
    if seconds is not None:
        return signed(seconds, duration)
    return f"{signed(work, '{:.1%}'.format)}{unit}" if abs(work) >= SMALL else ""


def cost(config: Config, timings: list[Timing]) -> Cost:
    """The cost of training `config` here. Raises DataError when its tokenizer file cannot be read."""
    figures = estimate(config)
    work, emulated = _work(config, figures), config.fp4.format != "off"
    if config.training.duration:
        return Cost(figures, work, emulated, float(seconds(config.training.duration)), "")
    near = nearest(config, work, timings)
    if near is None:
        return Cost(figures, work, emulated, None, "")
    return Cost(figures, work, emulated, figures.tokens * work / near.flops_per_second, near.run)


def nearest(config: Config, work: float, timings: list[Timing]) -> Timing | None:
    """The finished run most like `config`, of `work` a token, on the same hardware settings; None when there is none."""
    alike = [timing for timing in timings if timing.hardware == _hardware(config)]
    found = min(alike, key=lambda timing: _distance(timing, work), default=None)
    return found if found is not None and _distance(found, work) < NEAR else None


def _distance(timing: Timing, work: float) -> float:
    return abs(math.log(timing.work / work))


def _work(config: Config, figures: Estimate) -> float:
    """Operations of a token in training, what checkpointing computes again among them."""
    return float(figures.flops_per_token + recomputed_per_token(config))


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
        per_token = _work(config, estimate(config))
    except NanoError:
        return None
    return Timing(run.name, per_token, per_token * status.tokens / elapsed, _hardware(config))


def _hardware(config: Config) -> tuple[object, ...]:
    """The keys that change the speed by more than their arithmetic does."""
    hardware, emulated = config.hardware, config.fp4.format != "off"
    return (hardware.device, hardware.dtype, hardware.threads, config.model.linear, emulated)
