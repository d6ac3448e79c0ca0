"""What a check says: a figure when it holds, what was seen and expected when it does not, or why it could not run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Found:
    """A check that held: its figure in words, and what that figure means."""

    figure: str
    meaning: str


class Failed(Exception):
    """A check that did not hold. `observed` and `expected` are one line each."""

    def __init__(self, observed: str, expected: str) -> None:
        self.observed, self.expected = observed, expected
        super().__init__(f"{observed}; expected {expected}")


class NotRun(Exception):
    """A check that cannot run on this machine, and why; it counts as nothing."""


def expect(holds: bool, observed: object, expected: object) -> None:
    """Raise Failed unless something holds."""
    if not holds:
        raise Failed(str(observed), str(expected))


def within(what: str, error: float, bound: float) -> float:
    """The error again. Raises Failed where it is above the bound, or no number."""
    expect(error <= bound, f"{what}: {error:.2g}", f"at most {bound:g}")
    return error
