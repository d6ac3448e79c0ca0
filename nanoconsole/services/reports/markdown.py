"""A report as Markdown: tables, plots in characters, samples in fences that no text can close."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from nanoconsole.services.reports.plot import Plot
from nanoconsole.services.reports.tables import Table, of_run, tables, title_of, when
from nanoconsole.services.reports.text_plot import text_plot

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~$&])")


def markdown(document: Mapping[str, Any], plots: Sequence[Plot]) -> str:
    parts = [f"# {plain(title_of(document))}", f"Made by nanoconsole, {when(document['created'])}."]
    for table in tables(document):
        parts += _table(table, 2)
    if plots:
        parts.append("## Curves")
    for plot in plots:
        parts += [
            f"### {plain(plot.metric)}{f' ({plain(plot.unit)})' if plot.unit else ''}",
            plain(plot.help),
            fenced(text_plot(plot)),
        ]
    for run in document["runs"]:
        parts += [f"## {plain(run['name'])}", *_of_run(run)]
    return "\n\n".join(part for part in parts if part) + "\n"


def plain(text: str) -> str:
    """A text on one line in which no sign means anything."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def fenced(text: str) -> str:
    """A block of text as it is, in a fence longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text.rstrip()}\n{fence}"


def _of_run(run: Mapping[str, Any]) -> list[str]:
    parts = [part for table in of_run(run) for part in _table(table, 3)]
    for sample in run["samples"]:
        text = sample["problem"] or sample["prompt"] + sample["text"]
        parts += [f"### Sample at step {sample['step']:,}", fenced(text)]
    return parts


def _table(table: Table, level: int) -> list[str]:
    head = [f"| {' | '.join(plain(cell) for cell in table.headings)} |", "|" + " --- |" * len(table.headings)]
    rows = [f"| {' | '.join(plain(cell) for cell in row)} |" for row in table.rows]
    return [f"{'#' * level} {plain(table.title)}", "\n".join([*head, *rows]), plain(table.note)]
