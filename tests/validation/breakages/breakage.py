"""Ways to break the program, each put in by monkeypatch, and the check of `validate` that must catch it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

Patch = pytest.MonkeyPatch
BreakIt = Callable[[Patch], None]


@dataclass(frozen=True)
class Breakage:
    """`break_it` breaks something; `check` must then fail, and what it says must hold `told`."""

    name: str
    check: str
    told: str
    slow: bool
    break_it: BreakIt


BREAKAGES: list[Breakage] = []


def caught_by(check: str, told: str, *, slow: bool = False) -> Callable[[BreakIt], BreakIt]:
    """Put a function into the list."""

    def note(break_it: BreakIt) -> BreakIt:
        BREAKAGES.append(Breakage(break_it.__name__, check, told, slow, break_it))
        return break_it

    return note
