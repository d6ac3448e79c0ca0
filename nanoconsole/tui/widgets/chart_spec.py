"""What a chart shows and how it is looked at, apart from how it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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
    """What a chart shows: lines, and numbers beside its title; `brief` is the title where room is short ("": the same)."""

    key: str
    title: str
    unit: str
    lines: tuple[Line, ...]
    beside: tuple[Number, ...] = ()
    brief: str = ""


@dataclass(frozen=True)
class View:
    """How all charts of a screen are looked at.

    `span` is the shown part of the x axis (None: all of it), `cursor` the x whose values the titles show instead of
    the newest ones (None: no cursor). With `robust`, outliers may lie outside the y range, and the chart says how many.
    """

    axis: str = "step"
    smoothing: float = 0.6
    log: bool = False
    span: tuple[float, float] | None = None
    cursor: float | None = None
    robust: bool = False


MarkKind = Literal["checkpoint", "alert", "fire", "resumed"]


@dataclass(frozen=True)
class Mark:
    """Something that happened at an x of the shown axis; `text` is one safe line, shown when the cursor is there."""

    x: float
    kind: MarkKind
    text: str
