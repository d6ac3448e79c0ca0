"""Where the time of a step goes, one bar for each variant, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from nanoconsole.services.format import number
from nanoconsole.services.reports.svg import COLOURS

WIDTH, LEFT, RIGHT, TOP, ROW = 760, 130, 70, 10, 24
NAMES = {"data_wait": "data wait", "between_steps_seconds": "between steps"}


def bars(table: Sequence[Mapping[str, Any]]) -> str:
    """The drawing, with a legend below; "" for nothing to draw."""
    rows = [(row["variant"], parts) for row in table if sum((parts := _parts(row)).values()) > 0]
    if not rows:
        return ""
    longest = max(sum(parts.values()) for _, parts in rows)
    names = list(dict.fromkeys(name for _, parts in rows for name in parts))
    height = TOP + ROW * len(rows) + 28
    drawn = [f'<svg role="img" width="100%" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">']
    drawn.append("<title>milliseconds of a step by part</title>")
    for place, (variant, parts) in enumerate(rows):
        y, x = TOP + ROW * place, float(LEFT)
        drawn.append(f'<text x="{LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(variant)}</text>')
        for name, milliseconds in parts.items():
            width = (WIDTH - LEFT - RIGHT) * milliseconds / longest
            drawn.append(
                f'<rect x="{x:.1f}" y="{y + 3}" width="{width:.1f}" height="{ROW - 7}" fill="{_colour(names, name)}"/>'
            )
            x += width
        drawn.append(f'<text x="{x + 6:.1f}" y="{y + 15}">{escape(number(sum(parts.values())))}</text>')
    for place, name in enumerate(names):
        x = LEFT + 120 * place
        drawn.append(f'<rect x="{x}" y="{height - 18}" width="12" height="12" fill="{_colour(names, name)}"/>')
        drawn.append(f'<text x="{x + 18}" y="{height - 8}">{escape(name)}</text>')
    return "\n".join([*drawn, "</svg>"])


def _parts(row: Mapping[str, Any]) -> dict[str, float]:
    """Milliseconds by name, of the parts that were recorded."""
    found: dict[str, float | None] = {**row["parts"], "between_steps_seconds": row["between_steps_seconds"]}
    return {NAMES.get(name, name): 1e3 * seconds for name, seconds in found.items() if seconds is not None}


def _colour(names: Sequence[str], name: str) -> str:
    return COLOURS[names.index(name) % len(COLOURS)]
