"""A plot in characters, by plotext, for terminals and Markdown."""

from __future__ import annotations

from nanoconsole.services.reports.plot import Plot

MARKERS = "●▲■▼○△□▽"
WIDTH, HEIGHT = 76, 16


def text_plot(plot: Plot) -> str:
    """Lines of at most `WIDTH` columns, without colours; a marker and a name for each run."""
    import plotext

    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(WIDTH, HEIGHT)
    plotext.xlabel("step")
    for place, line in enumerate(plot.lines):
        if line.points:
            x, _, _, mean = zip(*line.points, strict=True)
            plotext.plot(
                list(x), list(mean), marker=MARKERS[place % len(MARKERS)] if len(plot.lines) > 1 else "braille"
            )
    drawn = "\n".join(row.rstrip() for row in plotext.uncolorize(plotext.build()).splitlines())
    plotext.clear_figure()
    return "\n".join([drawn, *_legend(plot)])


def _legend(plot: Plot) -> list[str]:
    rows = []
    for place, line in enumerate(plot.lines):
        mark = f"{MARKERS[place % len(MARKERS)]} " if len(plot.lines) > 1 else ""
        bad = f"  not finite in {len(line.nonfinite)} columns" if line.nonfinite else ""
        rows.append(f"{mark}{line.name}{bad}")
    return rows
