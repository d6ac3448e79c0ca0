"""What a chart shows and how it is looked at, apart from how it is drawn."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One metric of a chart; `brief` is its label where room is short.

    A marker tells lines apart without colour. Sparse metrics carry one at each measurement, unsmoothed; `dense` ones,
    measured at every step, carry it here and there on their smoothed line.
    """

    metric: str
    label: str
    brief: str
    style: str
    marker: str = ""
    dense: bool = False

    @property
    def sparse(self) -> bool:
        return bool(self.marker) and not self.dense


@dataclass(frozen=True)
class Number:
    """A metric shown as a number beside the title, with what is expected of it, in full and briefly ("": nothing)."""

    metric: str
    label: str
    expected: str = ""
    brief: str = ""


@dataclass(frozen=True)
class ChartSpec:
    """What a chart shows: lines, and numbers beside its title."""

    key: str
    title: str
    unit: str
    lines: tuple[Line, ...]
    beside: tuple[Number, ...] = ()


@dataclass(frozen=True)
class View:
    """How all charts of a screen are looked at."""

    axis: str = "step"
    smoothing: float = 0.6
    log: bool = False
