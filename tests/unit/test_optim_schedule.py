"""Learning rates against their closed forms."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocore.config.sections import Schedule
from nanocore.optim.schedule import lr_factor, phase, phases, weight_decay_factor

schedules = st.builds(
    Schedule,
    kind=st.sampled_from(["wsd", "cosine", "linear", "constant"]),
    warmup_steps=st.integers(0, 50),
    decay_fraction=st.floats(0, 1),
    decay_shape=st.sampled_from(["linear", "1-sqrt", "cosine"]),
    final_fraction=st.floats(0, 1),
)


def factor(step: int, steps: int = 100, **keys: Any) -> float:
    return lr_factor(Schedule(**keys), step, steps)


@pytest.mark.parametrize("kind", ["wsd", "cosine", "linear", "constant"])
def test_the_first_step_already_uses_the_first_warmup_rate(kind: Any) -> None:
    rates = [factor(step, kind=kind, warmup_steps=4) for step in range(5)]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert factor(0, kind=kind, warmup_steps=0) == 1.0


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("linear", [1.0, 0.75, 0.5, 0.25, 1 / 40]),
        ("1-sqrt", [1.0, 0.5, 1 - math.sqrt(0.5), 1 - math.sqrt(0.75), 1 - math.sqrt(39 / 40)]),
        (
            "cosine",
            [1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2, (1 + math.cos(math.pi * 39 / 40)) / 2],
        ),
    ],
)
def test_wsd_decays_over_its_share_in_the_chosen_shape(shape: Any, expected: list[float]) -> None:
    keys = {"kind": "wsd", "warmup_steps": 10, "decay_fraction": 0.4, "decay_shape": shape}
    assert factor(59, **keys) == 1.0
    assert [factor(step, **keys) for step in (60, 70, 80, 90, 99)] == pytest.approx(expected)
    lifted = [factor(step, final_fraction=0.1, **keys) for step in (60, 70, 80, 90, 99)]
    assert lifted == pytest.approx([0.1 + 0.9 * value for value in expected])


def test_cosine_and_linear_decay_from_the_end_of_warmup() -> None:
    for step in (10, 32, 55, 77, 99):
        t = (step - 10) / 90
        assert factor(step, kind="linear", warmup_steps=10) == pytest.approx(1 - t)
        cosine = 0.1 + 0.9 * (1 + math.cos(math.pi * t)) / 2
        assert factor(step, kind="cosine", warmup_steps=10, final_fraction=0.1) == pytest.approx(cosine)
    assert factor(99, kind="constant", warmup_steps=10) == 1.0


@given(schedules, st.integers(1, 300))
def test_phases_follow_one_another_and_join_without_a_jump(schedule: Schedule, steps: int) -> None:
    table = phases(schedule, steps)
    assert [0, *(p.end for p in table)] == [*(p.start for p in table), steps]
    for before, after in pairwise(table):
        top = before.factor((before.end - 1 - before.start) / (before.end - before.start))
        assert top == pytest.approx(1.0) and after.factor(0.0) == pytest.approx(1.0)
    rates = [lr_factor(schedule, step, steps) for step in range(steps)]
    assert all(0 < rate <= 1 + 1e-12 for rate in rates)


@given(schedules, st.integers(1, 300))
def test_after_the_end_the_final_rate_stays(schedule: Schedule, steps: int) -> None:
    end = lr_factor(schedule, steps, steps)
    assert end == lr_factor(schedule, steps + 1000, steps)
    if table := [p for p in phases(schedule, steps) if p.name == "decay"]:
        assert table[-1].end == steps and end == pytest.approx(schedule.final_fraction)


def test_a_horizon_that_moves_keeps_the_stable_rate_and_moves_the_decay() -> None:
    schedule = Schedule(kind="wsd", warmup_steps=10, decay_fraction=0.3)
    assert lr_factor(schedule, 75, 100) < 1.0
    assert lr_factor(schedule, 75, 10**9) == 1.0
    assert [phase(schedule, step, 100) for step in (0, 9, 10, 69, 70, 99, 100)] == [
        "warmup", "warmup", "stable", "stable", "decay", "decay", "decay",
    ]  # fmt: skip


def test_a_run_shorter_than_its_warmup_keeps_the_slope() -> None:
    assert [factor(step, steps=3, warmup_steps=10) for step in range(3)] == pytest.approx([0.1, 0.2, 0.3])


def test_weight_decay_ends_where_the_decay_begins() -> None:
    on = Schedule(decay_weight_decay=True, warmup_steps=10, decay_fraction=0.3)
    assert [weight_decay_factor(on, step, 100) for step in (0, 69, 70, 99)] == [1.0, 1.0, 0.0, 0.0]
    off = Schedule(decay_weight_decay=False, warmup_steps=10, decay_fraction=0.3)
    assert weight_decay_factor(off, 99, 100) == 1.0
