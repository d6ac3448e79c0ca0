"""Differences with their intervals, one below the other, as SVG: what lies wholly on one side of 0 differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from nanoconsole.services.format import number
from nanoconsole.services.reports.svg import COLOURS, ticks
from nanocore.compare.spec import POWER_CHECK

WIDTH, LEFT, RIGHT, TOP, ROW = 760, 130, 240, 10, 24


def forest(table: Sequence[Mapping[str, Any]]) -> str:
    """The drawing of a table of the report, without the power check and what is worse than that, whose size would hide the others; "" for nothing to draw."""
    rows = [row for row in table if row["difference"] and row["variant"] != POWER_CHECK and not row["far_worse"]]
    if not rows:
        return ""
    ends = [0.0, *(end for row in rows for end in _ends(row["difference"]))]
    room = 0.05 * (max(ends) - min(ends)) or 1e-3
    scale = Scale(min(ends) - room, max(ends) + room, TOP + ROW * len(rows))
    parts = [
        f'<svg role="img" width="100%" viewBox="0 0 {WIDTH} {scale.bottom + 30}" font-family="sans-serif" font-size="12">',
        "<title>differences from the baseline, bits per byte</title>",
        *_axis(scale),
        *(_drawn(row, TOP + ROW * (place + 0.5), scale) for place, row in enumerate(rows)),
        "</svg>",
    ]
    return "\n".join(parts)


@dataclass(frozen=True)
class Scale:
    """Differences from `low` to `high`, drawn down to `bottom`."""

    low: float
    high: float
    bottom: int

    def x(self, value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - self.low) / (self.high - self.low)

    def upright(self, value: float, colour: str) -> str:
        x = self.x(value)
        return f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{self.bottom}" stroke="{colour}"/>'


def _axis(scale: Scale) -> Iterator[str]:
    for value in ticks(scale.low, scale.high):
        label = escape(number(value))
        yield scale.upright(value, "#dddddd")
        yield f'<text x="{scale.x(value):.1f}" y="{scale.bottom + 18}" text-anchor="middle">{label}</text>'
    yield scale.upright(0, "#000000")


def _drawn(row: Mapping[str, Any], y: float, scale: Scale) -> str:
    """The interval, the mean upon it, and the verdict in words: colour alone tells nothing."""
    first, last = _ends(row["difference"])
    verdict = row["verdict"]
    colour = COLOURS[1 if verdict.startswith("worse") else 2 if verdict.startswith("better") else 7]
    return (
        f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(row["variant"])}</text>'
        f'<line x1="{scale.x(first):.1f}" y1="{y:.1f}" x2="{scale.x(last):.1f}" y2="{y:.1f}" stroke="{colour}" stroke-width="2"/>'
        f'<circle cx="{scale.x(row["difference"]["mean"]):.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
        f'<text x="{WIDTH - RIGHT + 8}" y="{y + 4:.1f}">{escape(_short(verdict))}</text>'
    )


def _short(verdict: str) -> str:
    """A verdict that fits beside the drawing: without what the table adds to it, but for the seeds."""
    words, bracket, seeds = verdict.partition(" (")
    return words.partition(",")[0].partition(";")[0].removesuffix(" at this scale") + bracket + seeds


def _ends(found: Mapping[str, Any]) -> tuple[float, float]:
    """The interval; of one pair, which has none, the difference alone."""
    return (found["mean"], found["mean"]) if found["low"] is None else (found["low"], found["high"])
