"""The report of an experiment (`compare`, `bench e3`) as files: Markdown, a page with plots, JSON, and the runs as CSV."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from statistics import fmean
from typing import Any

from nanoconsole.services.reports.bars import bars
from nanoconsole.services.reports.files import write_whole
from nanoconsole.services.reports.forest import forest
from nanoconsole.services.reports.page import frame, rows_of
from nanoconsole.services.reports.plot import Line, Plot
from nanoconsole.services.reports.svg import svg
from nanocore.compare.legend import LEGEND
from nanocore.compare.markdown import markdown
from nanocore.compare.sections import TABLES, Section, sections, title
from nanocore.compare.spec import BASELINE, POWER_CHECK
from nanocore.errors import ResourceError, remedy
from nanocore.runs.metrics import STEP_PARTS as PARTS

Document = Mapping[str, Any]
Points = dict[tuple[int, int], dict[str, Any]]
COLUMNS = (
    "run", "variant", "kind", "seed", "state", "reason", "stands_for", "step", "tokens", "seconds", "bits_per_byte", "ce",
    "step_seconds", "tokens_per_second", "optimizer_bytes", "peak_bytes", "peak_of",
)  # fmt: skip
MEASURED = ("utilisation", "mfu", "kept_fraction", "gain")
LOAD = ("processor_share", "load_average")


def save(document: dict[str, Any], folder: Path) -> list[Path]:
    """Write the files into a folder, which is made; earlier ones are replaced. Raises ResourceError."""
    texts = {
        "REPORT.md": markdown(document),
        "report.html": page(document),
        "report.json": json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False) + "\n",
        "runs.csv": runs_csv(document),
    }
    make_folder(folder)
    for name, text in texts.items():
        write_whole(folder / name, text)
    return [folder / name for name in texts]


def make_folder(folder: Path) -> None:
    """Raises ResourceError when it cannot be made, or nothing can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(f"cannot be made: {error.strerror}", where=str(folder), fix=remedy(error)) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ResourceError("cannot be written into", where=str(folder), fix="name another folder")


def runs_csv(document: Document) -> str:
    """A line for each run that trained or should have; of calibrations the JSON tells."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*COLUMNS, *(f"{part}_seconds" for part in (*PARTS, "between_steps")), *MEASURED, *LOAD])
    for run in document["runs"]:
        if run["kind"] != "calibration":
            measured = run["measures"] or {}
            parts = measured.get("parts", {})
            own = [run[key] for key in COLUMNS]
            seconds = [*(parts.get(part) for part in PARTS), measured.get("between_steps")]
            loaded = [run[key] for key in LOAD]
            writer.writerow([*own, *seconds, *(measured.get(key) for key in MEASURED), *loaded])
    return out.getvalue()


def page(document: dict[str, Any]) -> str:
    """One HTML page: the plots first, then the sections of the Markdown report, and what its columns mean."""
    heading = escape(title(document))
    introduction, *rest = sections(document)
    parts = [f"<h1>{heading}</h1>", *_section(introduction), *_pictures(document)]
    parts += (part for section in rest for part in _section(section))
    return frame(heading, [*parts, "<h2>Columns</h2>", *_legend()])


def _legend() -> Iterator[str]:
    for words, columns in LEGEND.items():
        yield f"<h3>{escape(words)}</h3>"
        yield rows_of(("column", "meaning"), list(columns.items()))


def _section(section: Section) -> list[str]:
    parts = [f"<h{section.level}>{escape(section.title)}</h{section.level}>"] if section.title else []
    parts += [f"<p>{escape(text)}</p>" for text in section.text]
    if section.items:
        parts.append(f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in section.items)}</ul>")
    return [*parts, rows_of(section.headings, section.rows)] if section.headings else parts


def _pictures(document: Document) -> Iterator[str]:
    for key, words in TABLES:
        drawn = forest(document[key])
        if drawn:
            yield f"<h3>Difference in held-out bits per byte: {escape(words.lower())}</h3>"
            yield '<p class="note">Mean and 95 % interval; left of 0 is better than the baseline. The power check, and what is worse than it, is in the tables.</p>'
            yield drawn
    for plot in curves(document):
        yield f"<h3>{escape(plot.metric)} over {plot.axis}</h3>"
        yield f'<p class="note">{escape(plot.help)}</p>'
        yield svg(plot)
    drawn = bars(document["equal_steps"])
    if drawn:
        yield "<h3>Where a step's time goes</h3>"
        yield '<p class="note">Mean milliseconds of a step, runs side by side.</p>'
        yield drawn


def curves(document: Document) -> list[Plot]:
    """Held-out bits per byte at equal steps over tokens and seconds, and how far from the baseline's over tokens.

    A variant that is worse than the power check would hide the others, so it is not drawn.
    """
    table = document["equal_steps"]
    names = [row["variant"] for row in table if row["variant"] == POWER_CHECK or not row["far_worse"]]
    others = [name for name in names if name not in (BASELINE, POWER_CHECK)]
    drawn = (
        ("Held-out bits per byte", "tokens", [_line(name, _points(document, name), "tokens") for name in names]),
        ("Held-out bits per byte", "seconds", [_line(name, _points(document, name), "seconds") for name in names]),
        ("Difference from the baseline of the same seed", "tokens", [_line(name, _differences(document, name), "tokens") for name in others]),
    )  # fmt: skip
    help = "The line is the mean over the seeds, the faint area holds all of them."
    plots = [
        Plot(what, "bits/byte", help, tuple(line for line in lines if line.points), axis) for what, axis, lines in drawn
    ]
    return [plot for plot in plots if plot.lines]


def _points(document: Document, variant: str) -> Points:
    """A variant's held-out measures at equal steps by seed and step."""
    return {
        (run["seed"], point["step"]): point
        for run in document["runs"]
        if run["variant"] == variant and run["kind"] == "steps" and run["measures"]
        for point in run["measures"]["curve"]
    }


def _differences(document: Document, variant: str) -> Points:
    own, base = _points(document, variant), _points(document, BASELINE)
    return {
        place: {**point, "bits_per_byte": point["bits_per_byte"] - base[place]["bits_per_byte"]}
        for place, point in own.items()
        if place in base
    }


def _line(name: str, points: Points, axis: str) -> Line:
    """At each step with a measure the mean, least and largest over the seeds that have one."""
    columns = []
    for step in sorted({step for _, step in points}):
        each = [point for (_, its), point in points.items() if its == step]
        bits = [point["bits_per_byte"] for point in each]
        columns.append((fmean(point[axis] for point in each), min(bits), max(bits), fmean(bits)))
    return Line(name, tuple(columns), ())
