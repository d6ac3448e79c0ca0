"""How long a step of a variant takes beside the baseline's, and how many steps make the two train equally long.

A calibration (`nanocore.train.calibrate`) trains both in one process, a few steps of one after a few of the other, and
writes a record each round. What else the machine does then falls on both, which separate runs, one after another, do not
achieve: their ratios were off by a fifth.
"""

from __future__ import annotations

import math
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
from nanocore.runs.records import Record, read_all

BASELINE_PACE, OWN_PACE = "pace/baseline", "pace/own"  # metrics of a calibration: seconds a step in one round
UNSURE = 2  # tolerances that a ratio may be off, where its interval holds 1


class Pace(msgspec.Struct, frozen=True):
    """A run as long as `steps` steps of the baseline, by the ratio that the run named `calibration` measured.

    Where the ratio differs from 1 by no more than `tolerance`, or by no more than twice that and than it is uncertain,
    the run is not needed: the one of the same steps takes the same time, as far as is known. With a tolerance of 0 every
    run is made.
    """

    steps: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    calibration: str
    tolerance: float = 0.0


class Calibration(msgspec.Struct, frozen=True):
    """What run.json says of a calibration: the variant's overrides of the run's configuration, and how many rounds."""

    sets: list[str]
    rounds: Annotated[int, msgspec.Meta(ge=1)]


PARTS = ("forward", "backward", "optimizer")  # of a step, timed too


class StepTimes(msgspec.Struct, frozen=True):
    """Medians over the rounds: the baseline's seconds a step, and the ratio of the variant's to them, whole and by part.

    `low` and `high` hold the median ratio with 95 % confidence; of fewer than six rounds they are the least and the largest.
    """

    baseline: float
    ratio: float
    low: float
    high: float
    parts: dict[str, float] = {}


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
    records = newest_attempts(read_all(run.metrics_file))
    rounds = list(_rounds(records))
    if not rounds:
        return None
    parts = {part: list(_rounds(records, f"/{part}")) for part in PARTS}
    ratios = sorted(own / base for base, own in rounds)
    rank = interval_rank(len(ratios))
    return StepTimes(
        statistics.median(base for base, _ in rounds),
        statistics.median(ratios),
        ratios[rank],
        ratios[-1 - rank],
        {part: statistics.median(own / base for base, own in found) for part, found in parts.items() if found},
    )


def interval_rank(count: int) -> int:
    """How many of `count` values, at either end, lie outside the interval that holds their true median with 95 % confidence.

    By the sign test: each value is above the median as a coin falls. 0 where not even all values give 95 %.
    """
    below, rank = 0.0, 0
    while (below := below + math.comb(count, rank) / 2**count) <= 0.025:
        rank += 1
    return max(0, rank - 1)


def _rounds(records: list[Record], part: str = "") -> Iterator[tuple[float, float]]:
    """Seconds a step, or of a part of it, of baseline and variant, of the rounds in which both are known."""
    for record in records:
        base, own = record.get(BASELINE_PACE + part), record.get(OWN_PACE + part)
        if isinstance(base, int | float) and isinstance(own, int | float) and base > 0 and own > 0:
            yield base, own


def steps_at_pace(root: Path, pace: Pace) -> int:
    """round(steps / ratio), at least 1. Raises UsageError when the calibration did not finish, or measured nothing."""
    return max(1, round(pace.steps / _measured(root, pace).ratio))


def needless(root: Path, pace: Pace) -> str:
    """Why a run at this pace need not be made, in words; "" when it must. Raises UsageError as `steps_at_pace`."""
    times = _measured(root, pace)
    if not same_time(times, pace.tolerance):
        return ""
    found = f"{times.ratio:.3f} [{times.low:.3f}, {times.high:.3f}]"
    return f"a step takes {found} of the baseline's time: the run of the same steps stands for this one"


def same_time(times: StepTimes, tolerance: float) -> bool:
    """Whether a variant takes the baseline's time, as far as `tolerance` (0: never) cares or the rounds can tell.

    Rounds that can tell little do not make two times one: the ratio itself must be within `UNSURE` tolerances.
    """
    off = abs(times.ratio - 1)
    return tolerance > 0 and (off <= tolerance or (off <= UNSURE * tolerance and times.low <= 1 <= times.high))


def _measured(root: Path, pace: Pace) -> StepTimes:
    run = find_run(root, pace.calibration)
    state = observe(run)
    if state.state != "finished":
        raise UsageError(f"the variant's step time is not known: {state.text}", where=run.name)
    times = step_times(run)
    if times is None:
        raise UsageError("the variant's step time is not known: no round was recorded", where=run.name)
    return times
