"""Which cases of a long parametrised test stay in the default suite; `make test-slow` runs the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import pytest


def quick(cases: Iterable[Any], *kept: Any) -> list[Any]:
    """The cases, all but `kept` marked slow."""
    cases = list(cases)
    assert all(case in cases for case in kept), "a kept case is not among the cases"
    return [case if case in kept else pytest.param(case, marks=pytest.mark.slow) for case in cases]


def checkered(*axes: Sequence[Any]) -> list[Any]:
    """All combinations of the axes, every other one marked slow, as on a board of two colours.

    Of two combinations that differ in one value by one place, one stays in the default suite.
    """
    places = product(*(range(len(axis)) for axis in axes))
    marks = ([pytest.mark.slow] * (sum(place) % 2) for place in places)
    return [pytest.param(*values, marks=mark) for values, mark in zip(product(*axes), marks, strict=True)]
