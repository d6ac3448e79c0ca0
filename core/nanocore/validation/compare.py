"""Comparing tensors."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, equal


def differing(one: dict[str, Tensor], two: dict[str, Tensor], names: Sequence[str] | None = None) -> list[str]:
    """Which tensors do not hold the same bits, or are in one alone."""
    chosen = sorted(one.keys() | two.keys()) if names is None else names
    return [name for name in chosen if name not in one or name not in two or not equal(one[name], two[name])]


def error(found: Tensor, exact: Tensor) -> float:
    """The largest difference, in units of the largest exact value."""
    found, exact = found.detach().double(), exact.detach().double()
    return float((found - exact).abs().max() / exact.abs().max())
