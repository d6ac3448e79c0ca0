"""What a chart asks of its data: curves by metric over an axis, from one run or from several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from nanoconsole.services.buckets import Buckets
from nanoconsole.services.columns import Floats

AXES = ("step", "tokens", "time")
Span = tuple[float, float]  # first and last x that is shown
Point = tuple[float, float]  # x on the axis, value


@dataclass(frozen=True)
class Curve:
    """One metric over an x range: its buckets, and what is said of the points in them.

    `last` is the newest value of the whole metric, wherever the range ends; the counts are of the range. `before` and
    `after` are the nearest points outside the range, so that a line can be drawn to its edges.
    """

    buckets: Buckets
    last: float | None
    points: int
    nonfinite: int
    before: Point | None = None
    after: Point | None = None


class CurveSource(Protocol):
    """The data of charts. `version` is another number whenever anything that a method returns may have changed.

    An axis is "step", "tokens" or "time" (seconds of training); x values are on that axis. A `span` of None is the
    whole of the axis.
    """

    @property
    def version(self) -> int: ...

    @property
    def epoch(self) -> int:
        """Another number whenever anything but new points behind those of their metric came."""
        ...

    def names(self) -> list[str]:
        """Every metric that has a point."""
        ...

    def count(self, name: str) -> int:
        """How many points a metric has."""
        ...

    def tail(self, name: str, points: int) -> Floats:
        """The newest values of a metric, oldest first."""
        ...

    def last(self, name: str) -> float | None:
        """The newest value of a metric."""
        ...

    def span(self, axis: str) -> Span:
        """First and last x there is; (0, 0) when there is nothing."""
        ...

    def curve(self, name: str, axis: str, decay: float, columns: int, span: Span | None = None) -> Curve | None:
        """A metric reduced to `columns` buckets, smoothed with an EMA of this decay (0: not); None without any point."""
        ...

    def at(self, name: str, axis: str, x: float) -> Point | None:
        """The recorded point nearest to x, the earlier of two equally near; None without any point."""
        ...

    def fences(self, name: str, axis: str, *, log: bool, span: Span | None = None) -> Span | None:
        """The range of values that are no outliers; None without a finite (on a log scale positive) point."""
        ...

    def outside(self, name: str, axis: str, low: float, high: float, span: Span | None = None) -> tuple[int, int]:
        """How many finite points lie above `high`, and how many below `low`."""
        ...
