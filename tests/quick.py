"""Which cases of a long parametrised test stay in the default suite; `make test-slow` runs the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def quick(cases: Iterable[Any], *kept: Any) -> list[Any]:
    """The cases, all but `kept` marked slow."""
    cases = list(cases)
    assert all(case in cases for case in kept), "a kept case is not among the cases"
    return [case if case in kept else pytest.param(case, marks=pytest.mark.slow) for case in cases]
