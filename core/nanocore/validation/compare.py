"""Comparing tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor, equal

from nanocore.validation.outcome import expect


def differing(one: dict[str, Tensor], two: dict[str, Tensor], names: Sequence[str] | None = None) -> list[str]:
    """Which tensors do not hold the same bits, or are in one alone."""
    chosen = sorted(one.keys() | two.keys()) if names is None else names
    return [name for name in chosen if name not in one or name not in two or not equal(one[name], two[name])]


def error(found: Tensor, exact: Tensor) -> float:
    """The largest difference, in units of the largest exact value; infinite where a value of either is not finite.

    Never NaN, which `max` over several errors would drop unless it came first.
    """
    found, exact = found.detach().double(), exact.detach().double()
    off = float((found - exact).abs().max() / exact.abs().max())
    return off if math.isfinite(off) else math.inf


def demand_finite(what: str, tensors: Mapping[str, Tensor]) -> None:
    """Raise Failed where a tensor holds a value that is not finite."""
    wrong = [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]
    expect(not wrong, f"{what}: {len(wrong)} tensors are not finite, first {wrong[:1]}", "finite numbers alone")
