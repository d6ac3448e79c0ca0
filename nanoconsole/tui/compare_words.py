"""What Compare says and draws: the chart of a metric of several runs, where they are compared, which keys differ."""

from __future__ import annotations

from textual.content import Content

from nanoconsole.services.configs import Flat, differing, shown
from nanoconsole.services.format import count, duration
from nanoconsole.tui.widgets.chart_spec import ChartSpec, Line
from nanocore.runs.metrics import find_metric


def spec_of(metric: str, labels: list[str], marks: list[str], colours: list[int]) -> ChartSpec:
    """The chart of a metric of all runs; the table under it has their names, so a narrow one may leave them out."""
    known = find_metric(metric)
    lines = [
        Line(
            f"{index}/{metric}",
            label,
            "",
            f"line{colours[index]}",
            marks[index],
            dense=known is None or known.cadence == "step",
        )
        for index, label in enumerate(labels)
    ]
    return ChartSpec("compare", metric, known.unit if known else "", tuple(lines))


def where(x: float, axis: str) -> str:
    """An x of an axis in words."""
    if axis == "time":
        return f"after {duration(x)}"
    return f"step {x:,.0f}" if axis == "step" else f"{count(x)} tokens"


def differences(labels: list[str], configs: list[Flat]) -> Content:
    """The keys whose values differ, with the value of each run."""
    if len(configs) < 2:
        return Content.styled("The configuration of one run differs from none." if configs else "", "$axis")
    found = differing(configs)
    if not found:
        return Content.styled("The configurations are the same.", "$axis")
    width = max(len(label) for label in labels)
    parts: list[Content] = []
    for key, values in found:
        parts.append(Content.styled(key, "bold $primary"))
        parts += [
            Content.assemble((f"  {label:<{width}}  ", "$axis"), (shown(value), "$foreground"))
            for label, value in zip(labels, values, strict=True)
        ]
    return Content("\n").join(parts)


def how() -> Content:
    """What to do when no run was chosen."""
    key = "bold $accent"
    return Content.assemble(
        ("No runs to compare\n\n", "bold"),
        ("1", key), " lists the runs, ", ("space", key), " selects them, ", ("b", key), " makes one the baseline,\n",
        ("C", key), " or ", ("5", key), " compares them.",
    )  # fmt: skip
