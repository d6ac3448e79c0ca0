"""A plot as SVG: no script, no style sheet, no resource from anywhere. Runs differ in colour and in dashes."""

from __future__ import annotations

import math
from html import escape

from nanoconsole.services.format import count, number
from nanoconsole.services.reports.plot import Line, Plot

WIDTH, HEIGHT = 760, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 30
# The palette of Okabe and Ito, told apart with every common form of colour blindness.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#7f7f7f")
DASHES = ("", "6 3", "2 3", "8 3 2 3", "12 4", "4 4", "1 3", "10 2 2 2")
TICKS = 5


def svg(plot: Plot) -> str:
    """The drawing, with a legend of its runs below."""
    rows = len(plot.lines)
    height = HEIGHT + 18 * rows
    title = escape(f"{plot.metric}{f', {plot.unit}' if plot.unit else ''}")
    parts = [
        f'<svg role="img" width="100%" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
        f"<title>{title} over {plot.axis}</title>",
        *_axes(plot),
        *(part for place, line in enumerate(plot.lines) for part in _drawn(plot, line, place)),
        *(_legend(line, place) for place, line in enumerate(plot.lines)),
        "</svg>",
    ]
    return "\n".join(parts)


def look(place: int) -> tuple[str, str]:
    """Colour and dashes of a line; sixty-four lines differ in one or the other."""
    return COLOURS[place % len(COLOURS)], DASHES[(place + place // len(COLOURS)) % len(DASHES)]


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between low and high, at most some six."""
    if not high > low:
        return [low]
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step)
    return [step * place for place in range(first, first + TICKS + 2) if step * place <= high]


def _x(plot: Plot, step: float) -> float:
    low, high = plot.span
    return LEFT + (WIDTH - LEFT - RIGHT) * ((step - low) / (high - low) if high > low else 0.5)


def _y(plot: Plot, value: float) -> float:
    low, high = plot.bounds
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * ((value - low) / (high - low) if high > low else 0.5)


def _axes(plot: Plot) -> list[str]:
    parts = []
    for value in ticks(*plot.bounds):
        y = _y(plot, value)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#dddddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(number(value))}</text>')
    for step in ticks(*plot.span):
        label = escape(count(step) if step.is_integer() else number(step))
        parts.append(f'<text x="{_x(plot, step):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{label}</text>')
    return parts


def _drawn(plot: Plot, line: Line, place: int) -> list[str]:
    """The envelope, the line, and a cross at every value that was not finite."""
    colour, dash = look(place)
    upper = [f"{_x(plot, x):.1f},{_y(plot, high):.1f}" for x, _, high, _ in line.points]
    lower = [f"{_x(plot, x):.1f},{_y(plot, low):.1f}" for x, low, _, _ in reversed(line.points)]
    middle = [f"{_x(plot, x):.1f},{_y(plot, mean):.1f}" for x, _, _, mean in line.points]
    stroke = f' stroke-dasharray="{dash}"' if dash else ""
    crosses = [
        f'<text x="{_x(plot, x):.1f}" y="{TOP + 10}" text-anchor="middle" fill="{colour}">✕</text>'
        for x in line.nonfinite
    ]
    if len(middle) == 1:
        x, y = middle[0].split(",")
        return [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>', *crosses]
    return [
        f'<polygon points="{" ".join([*upper, *lower])}" fill="{colour}" fill-opacity="0.15"/>',
        f'<polyline points="{" ".join(middle)}" fill="none" stroke="{colour}" stroke-width="1.6"{stroke}/>',
        *crosses,
    ]


def _legend(line: Line, place: int) -> str:
    y = HEIGHT + 4 + 18 * place
    colour, dash = look(place)
    bad = f", ✕ {len(line.nonfinite)} columns with values that are not finite" if line.nonfinite else ""
    stroke = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line x1="{LEFT}" y1="{y}" x2="{LEFT + 28}" y2="{y}" stroke="{colour}" stroke-width="2"{stroke}/>'
        f'<text x="{LEFT + 34}" y="{y + 4}">{escape(line.name)}{bad}</text>'
    )
