"""How sure a calibration is of its ratio, and when a run at equal time is not worth making."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from nanocore.config.schema import Config
from nanocore.runs.create import create_run
from nanocore.runs.documents import write_document
from nanocore.runs.layout import RunFolder
from nanocore.runs.pace import BASELINE_PACE, OWN_PACE, Pace, interval_rank, needless, step_times, steps_at_pace
from nanocore.runs.records import RecordWriter
from nanocore.runs.status import Status


def calibration(root: Path, ratios: list[float]) -> None:
    """A finished one named "c"; the machine is slower each round."""
    run = create_run(root, Config(), name="c")
    writer = RecordWriter(run.metrics_file)
    for turn, ratio in enumerate(ratios, 1):
        writer.write({"step": turn, "attempt": 1, BASELINE_PACE: float(turn), OWN_PACE: ratio * turn})
    writer.close()
    write_document(run.status_file, Status(state="finished", phase="ended", attempt=1))


@pytest.mark.parametrize("count", [1, 5, 6, 9, 12, 15, 30])
def test_the_interval_is_the_narrowest_with_95_percent(count: int) -> None:
    def outside(rank: int) -> float:
        """How probable it is that the median lies beyond the value with `rank` values before it, on either side."""
        return 2 * sum(math.comb(count, below) for below in range(rank + 1)) / 2**count

    rank = interval_rank(count)
    assert outside(rank + 1) > 0.05
    assert rank == 0 or outside(rank) <= 0.05


def test_a_ratio_has_the_spread_of_its_rounds(tmp_path: Path) -> None:
    calibration(tmp_path, [1.10, 1.30, 1.00, 1.05, 1.15, 1.20, 9.0, 1.12, 1.08, 1.25, 1.11, 0.2])
    found = step_times(RunFolder(tmp_path / "c"))
    assert found is not None
    assert (found.ratio, found.low, found.high) == (pytest.approx(1.115), pytest.approx(1.05), pytest.approx(1.25))


@pytest.mark.parametrize(("ratio", "steps"), [(1.25, 80), (0.8, 125), (300.0, 1)])
def test_a_slower_variant_makes_fewer_steps_in_the_same_time_and_at_least_one(
    tmp_path: Path, ratio: float, steps: int
) -> None:
    calibration(tmp_path, [ratio] * 6)
    assert steps_at_pace(tmp_path, Pace(100, "c")) == steps


@pytest.mark.parametrize(
    ("ratios", "tolerance", "needed"),
    [
        ([1.02] * 12, 0.03, False),  # near enough
        ([1.05] * 12, 0.03, True),
        ([1.02] * 12, 0.0, True),  # no tolerance: every run is made
        ([0.90, 0.95, 1.30, 1.05, 1.06, 1.05], 0.03, False),  # 5 %, but it could be none
        ([0.71, 0.95, 1.69, 1.49, 1.50, 1.49], 0.03, True),  # it could be none, but nothing says so
    ],
)
def test_a_run_is_spared_where_no_other_time_was_seen(
    tmp_path: Path, ratios: list[float], tolerance: float, needed: bool
) -> None:
    calibration(tmp_path, ratios)
    assert bool(needless(tmp_path, Pace(100, "c", tolerance))) != needed
