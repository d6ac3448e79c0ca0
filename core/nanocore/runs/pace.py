"""How long a step of a variant takes beside the baseline's, and how many steps make the two train equally long.

A calibration (`nanocore.train.calibrate`) trains both in one process, a few steps of one after a few of the other, and
writes a record each round. What else the machine does then falls on both, which separate runs, one after another, do not
achieve: their ratios were off by a fifth.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from nanocore.errors import UsageError
from nanocore.runs.create import read_run
from nanocore.runs.curve import newest_attempts
from nanocore.runs.layout import RunFolder, find_run
from nanocore.runs.liveness import observe
from nanocore.runs.records import read_all

BASELINE_PACE, OWN_PACE = "pace/baseline", "pace/own"  # metrics of a calibration: seconds a step in one round


class Pace(msgspec.Struct, frozen=True):
    """A run as long as `steps` steps of the baseline, by the ratio that the run named `calibration` measured."""

    steps: int
    calibration: str


class Calibration(msgspec.Struct, frozen=True):
    """What run.json says of a calibration: the variant's overrides of the run's configuration, and how many rounds."""

    sets: list[str]
    rounds: Annotated[int, msgspec.Meta(ge=1)]


class StepTimes(msgspec.Struct, frozen=True):
    """Medians over the rounds: the baseline's seconds a step, and the ratio of the variant's to them."""

    baseline: float
    ratio: float


def calibration(run: RunFolder) -> Calibration | None:
    """What is to be timed, None for a run that trains. Raises UsageError when run.json says it wrongly."""
    facts = read_run(run).get("experiment")
    if not isinstance(facts, dict) or facts.get("kind") != "calibration":
        return None
    try:
        return msgspec.convert(facts, Calibration)
    except msgspec.ValidationError as error:
        raise UsageError(f"its run.json is damaged: experiment: {error}", where=run.name) from None


def median_of(run: RunFolder, metric: str, warm_up: int) -> float | None:
    """The median of a metric over the steps after the first `warm_up`; None when there is none."""
    records = newest_attempts(read_all(run.metrics_file))
    values = [record.get(metric) for record in records if record["step"] > warm_up]
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    return statistics.median(numbers) if numbers else None


def step_times(run: RunFolder) -> StepTimes | None:
    """What a calibration measured; None when it holds no round."""
    rounds = list(_rounds(run))
    if not rounds:
        return None
    return StepTimes(
        statistics.median(base for base, _ in rounds), statistics.median(own / base for base, own in rounds)
    )


def _rounds(run: RunFolder) -> Iterator[tuple[float, float]]:
    """Seconds a step of baseline and variant, of the rounds in which both are known."""
    for record in newest_attempts(read_all(run.metrics_file)):
        base, own = record.get(BASELINE_PACE), record.get(OWN_PACE)
        if isinstance(base, int | float) and isinstance(own, int | float) and base > 0 and own > 0:
            yield base, own


def steps_at_pace(root: Path, pace: Pace) -> int:
    """round(steps / ratio), at least 1. Raises UsageError when the calibration did not finish, or measured nothing."""
    run = find_run(root, pace.calibration)
    state = observe(run)
    if state.state != "finished":
        raise UsageError(f"the variant's step time is not known: {state.text}", where=run.name)
    times = step_times(run)
    if times is None:
        raise UsageError("the variant's step time is not known: no round was recorded", where=run.name)
    return max(1, round(pace.steps / times.ratio))
