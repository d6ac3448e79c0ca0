"""What is read from a run's records: means by step, time between steps, the held-out curve, when a loss was reached."""

from __future__ import annotations

from typing import Any

import pytest

from nanocore.compare.measures import Point, measures, reached


def step(number: int, seconds: float, **others: Any) -> dict[str, Any]:
    return {
        "step": number,
        "attempt": 1,
        "tokens": 10 * number,
        "time/step": seconds,
        "time/forward": seconds / 2,
        **others,
    }


def held_out(number: int, bits: object) -> dict[str, Any]:
    return {"step": number, "attempt": 1, "tokens": 10 * number, "eval/bits_per_byte": bits}


CURVE = (Point(2, 20, 2.0, 5.0), Point(4, 40, 6.0, 3.0), Point(6, 60, 7.0, 3.5), Point(8, 80, 9.0, 2.0))


def test_a_record_counts_for_the_steps_it_is_the_mean_of() -> None:
    found = measures([step(4, 99.0), step(5, 1.0), step(8, 2.0, **{"collider/kept_fraction": 0.5})])
    assert found.parts == pytest.approx({"forward": (0.5 * 1 + 1.0 * 3) / 4})
    assert found.kept_fraction == 0.5  # of the steps that filtered
    assert found.waiting is None and found.between_steps is None and found.curve == ()


def test_time_between_steps_is_what_the_clock_has_more() -> None:
    found = measures([step(5, 1.0, elapsed=10.0), step(6, 1.0, elapsed=11.5), step(8, 2.0, elapsed=17.0)])
    assert found.between_steps == pytest.approx((7.0 - 1.0 - 2 * 2.0) / 3)
    assert measures([step(5, 1.0, elapsed=1.0), step(6, 9.0, elapsed=2.0)]).between_steps == 0.0


def test_the_curve_counts_seconds_of_steps_alone_and_the_last_measure_of_a_step() -> None:
    records = [
        step(1, 1.0),
        step(2, 2.0),
        held_out(2, 4.0),
        step(3, 3.0),
        held_out(3, None),
        held_out(3, 3.0),
        held_out(3, 2.5),
    ]
    assert measures(records).curve == (Point(2, 20, 3.0, 4.0), Point(3, 30, 6.0, 2.5))


def test_the_largest_gain_counts_of_both_directions() -> None:
    found = measures(
        [step(1, 1.0, **{"mhc/composite_gain": 1.5}), step(2, 1.0, **{"mhc/composite_gain_backward": 2.5})]
    )
    assert found.gain == 2.5
    assert measures([]).gain is None


@pytest.mark.parametrize(
    ("target", "expected"),
    [(5.0, (20.0, 2.0)), (6.0, (20.0, 2.0)), (4.0, (30.0, 4.0)), (3.0, (40.0, 6.0)), (2.75, (70.0, 8.0)), (1.9, None)],
)
def test_the_first_way_down_to_a_loss_is_straight_between_two_measures(
    target: float, expected: tuple[float, float] | None
) -> None:
    found = reached(CURVE, target)
    assert found is None if expected is None else found == pytest.approx(expected)
