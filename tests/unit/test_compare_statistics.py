"""Intervals and corrections against printed tables and examples."""

from __future__ import annotations

import math

import pytest

from nanocore.compare.order import balanced
from nanocore.compare.statistics import holm, paired, t_quantile, t_within

# Two-sided 95 % and 99 % points of Student's t, as in any printed table.
TABLE = {
    1: (12.706, 63.657), 2: (4.303, 9.925), 3: (3.182, 5.841), 4: (2.776, 4.604), 5: (2.571, 4.032),
    9: (2.262, 3.250), 10: (2.228, 3.169), 29: (2.045, 2.756), 30: (2.042, 2.750), 120: (1.980, 2.617),
}  # fmt: skip


@pytest.mark.parametrize("freedom", TABLE)
def test_t_quantiles_are_those_of_the_table(freedom: int) -> None:
    found = (t_quantile(0.975, freedom), t_quantile(0.995, freedom))
    assert tuple(round(value, 3) for value in found) == TABLE[freedom]
    assert t_within(found[0], freedom) == pytest.approx(0.95, abs=1e-12)


def test_t_with_one_degree_is_cauchy_and_with_two_has_its_closed_form() -> None:
    for t in (0.0, 0.3, 1.0, 7.5):
        assert t_within(t, 1) == pytest.approx(2 / math.pi * math.atan(t), abs=1e-15)
        assert t_within(t, 2) == pytest.approx(t / math.sqrt(2 + t * t), abs=1e-15)
    with pytest.raises(ValueError, match="no t quantile"):
        t_quantile(1.0, 3)


def test_a_paired_difference_by_hand() -> None:
    found = paired([0.1, 0.2, 0.6])  # mean 0.3, sum of squares 0.14, deviation sqrt(0.07)
    error = math.sqrt(0.07 / 3)
    assert (found.n, found.mean, found.deviation) == (3, pytest.approx(0.3), pytest.approx(math.sqrt(0.07)))
    assert found.error == pytest.approx(error)
    assert (found.low, found.high) == (pytest.approx(0.3 - 4.302653 * error), pytest.approx(0.3 + 4.302653 * error))
    t = 0.3 / error
    assert found.p == pytest.approx(1 - t / math.sqrt(2 + t * t))


def test_one_pair_has_no_interval_and_equal_differences_have_no_width() -> None:
    single, same, none = paired([0.5]), paired([0.25, 0.25]), paired([0.0, 0.0])
    assert (single.mean, single.error, single.low, single.p) == (0.5, None, None, None)
    assert (same.low, same.high, same.p) == (0.25, 0.25, 0.0)
    assert (none.low, none.high, none.p) == (0.0, 0.0, 1.0)


def test_holm_on_a_textbook_example() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 7, 8, 11])
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 6])
def test_every_variant_is_equally_often_early_and_late_and_in_either_slot(width: int, rows: int) -> None:
    order = balanced(width, rows)
    assert [sorted(row) for row in order] == [list(range(width))] * rows
    assert order == balanced(width, rows)
    places = [sum(row.index(column) for row in order) for column in range(width)]
    second = [sum((width * n + row.index(column)) % 2 for n, row in enumerate(order)) for column in range(width)]
    if rows > 1:
        assert max(places) - min(places) <= (2 if rows % 2 else 0)
        assert all(abs(2 * count - rows) <= rows % 2 for count in second)
