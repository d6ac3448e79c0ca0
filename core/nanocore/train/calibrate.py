"""The step time of a variant beside its baseline's: both in one process, a few steps of one after a few of the other."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from nanocore.config.overrides import apply
from nanocore.config.schema import Config
from nanocore.config.toml import read_table
from nanocore.config.validate import build
from nanocore.errors import DivergedError
from nanocore.runs.pace import BASELINE_PACE, OWN_PACE
from nanocore.train.build import beside
from nanocore.train.job import Job
from nanocore.train.loop import Outcome, obey, one_step

WARM_UP = 3  # steps before the first round
SETTLING = 1  # steps that bring weights and state back into the caches, before those that are timed
TIMED = 2  # steps timed at a time


def calibrate(baseline: Job, sets: Sequence[str], rounds: int) -> Outcome:
    """Time the configuration of the run against itself with `sets`, for some rounds; a record for each.

    Raises ConfigError for overrides that make no configuration, DivergedError where a step is not finite.
    """
    variant = beside(baseline, _with(baseline, sets))
    _show(baseline, 0, rounds)
    for job in (baseline, variant):
        _train(job, WARM_UP)
    baseline.reporter.log(f"{rounds} rounds of {TIMED} steps each, in turn with: {', '.join(sets)}")
    for turn in range(1, rounds + 1):
        seconds = _round(baseline, variant, swapped=turn % 2 == 0)
        _report(baseline, turn, rounds, seconds)
        obey(baseline)
        if baseline.orders.stop:
            break
    return _end(baseline, variant, rounds)


def _with(job: Job, sets: Sequence[str]) -> Config:
    return build(apply(read_table(job.run.config_file), list(sets)), where=str(job.run.config_file))


def _round(baseline: Job, variant: Job, *, swapped: bool) -> dict[str, float]:
    """Seconds a step of both, whole and by part; who goes first alternates."""
    order = [(BASELINE_PACE, baseline), (OWN_PACE, variant)]
    found: dict[str, float] = {}
    for name, job in reversed(order) if swapped else order:
        whole, parts = _timed(job)
        found |= {name: whole, **{f"{name}/{part}": seconds for part, seconds in parts.items()}}
    return found


def _timed(job: Job) -> tuple[float, dict[str, float]]:
    _train(job, SETTLING)
    began = time.perf_counter()
    parts = _train(job, TIMED)
    job.machine.synchronize()
    return (time.perf_counter() - began) / TIMED, {part: seconds / TIMED for part, seconds in parts.items()}


def _train(job: Job, steps: int) -> Counter[str]:
    """Steps as the training loop makes them; position in the schedule comes round again in a short one. Seconds by part."""
    parts: Counter[str] = Counter()
    for _ in range(steps):
        job.reporter.pulse()
        batch, _ = job.loader.next()
        result = one_step(job, batch)
        if not result.finite:  # a spike that the configuration leaves out takes as long as any step
            raise DivergedError(f"non-finite loss {result.ce} or gradient norm {result.grad_norm} in a calibration")
        parts.update(result.seconds)
        job.progress.step = (job.progress.step + 1) % job.horizon.steps
    return parts


def _report(job: Job, turn: int, rounds: int, seconds: dict[str, float]) -> None:
    job.tick()
    job.reporter.step = turn
    job.reporter.metrics(seconds, elapsed=job.progress.elapsed)
    _show(job, turn, rounds)


def _show(job: Job, turn: int, rounds: int) -> None:
    """How far it is: rounds count, not the steps of the run whose configuration is timed."""
    job.reporter.status(state="running", phase="training", step=turn, steps=rounds)


def _end(baseline: Job, variant: Job, rounds: int) -> Outcome:
    for job in (baseline, variant):
        job.loader.close()
    done = baseline.reporter.step == rounds
    state = "finished" if done else "stopped"
    baseline.reporter.event(state)
    return Outcome(state, 0 if done else baseline.orders.exit_code)
