"""Step times of runs, and the number of steps that makes two runs train equally long."""

from __future__ import annotations

import statistics
from pathlib import Path

import msgspec

from nanocore.errors import UsageError
from nanocore.runs.curve import newest_attempts
from nanocore.runs.layout import RunFolder, find_run
from nanocore.runs.liveness import observe
from nanocore.runs.records import read_all


class Pace(msgspec.Struct, frozen=True):
    """A run as long as `steps` steps of another: `baseline` and `own` name the runs whose step times are compared.

    The first `warm_up` steps of each are left out; of several runs the median counts.
    """

    steps: int
    baseline: tuple[str, ...]
    own: tuple[str, ...]
    warm_up: int


def median_of(run: RunFolder, metric: str, warm_up: int) -> float | None:
    """The median of a metric over the steps after the first `warm_up`; None when there is none."""
    records = newest_attempts(read_all(run.metrics_file))
    values = [record.get(metric) for record in records if record["step"] > warm_up]
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    return statistics.median(numbers) if numbers else None


def steps_at_pace(root: Path, pace: Pace) -> int:
    """round(steps * the baseline's step time / the run's own), at least 1.

    Raises UsageError when one of the runs did not finish, or wrote no step times.
    """
    base, own = (
        statistics.median(_step_seconds(find_run(root, name), pace.warm_up) for name in names)
        for names in (pace.baseline, pace.own)
    )
    return max(1, round(pace.steps * base / own))


def _step_seconds(run: RunFolder, warm_up: int) -> float:
    state = observe(run)
    if state.state != "finished":
        raise UsageError(f"its step time is not known: {state.text}", where=run.name)
    seconds = median_of(run, "time/step", warm_up)
    if not seconds or seconds <= 0:
        raise UsageError("its step time is not known: it wrote none", where=run.name)
    return seconds
