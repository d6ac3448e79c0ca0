"""`nanoconsole bench compare`: two results side by side."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from nanoconsole.cli.fitted import paragraph, terminal_width
from nanoconsole.cli.options import Json, examples
from nanoconsole.cli.output import emit, say, table, tell
from nanoconsole.services.format import NOTHING

First = Annotated[Path, typer.Argument(metavar="A.json", help="A result, as --json printed it, or --out kept it.")]
Second = Annotated[Path, typer.Argument(metavar="B.json", help="Another of the same kind.")]
Three = tuple[str, str, str]
Row = tuple[str, str, str, str | None, str, str]
HEADINGS = ("figure", "A", "B", "B / A", "unit", "better")


def register(group: typer.Typer) -> None:
    lines = ("bench train --out before.json", "bench compare before.json after.json")
    group.command("compare", epilog=examples(*lines))(compare)


def compare(first: First, second: Second, json: Json = False) -> None:
    """Show two results side by side.

    Of kernels, train, memory, console, or a report.json of compare and e3. Says what each measured, on which machine, with which
    versions and revision, and warns where they did not measure the same; what one of them lacks has a dash. docs/benchmarks.md
    explains the columns.
    """
    from dataclasses import asdict

    from nanoconsole.services.bench_files import beside, different, origin, read_result, verdicts
    from nanoconsole.services.format import number

    documents = [read_result(path) for path in (first, second)]
    found, origins = beside(*documents), [origin(document) for document in documents]
    warnings, words = different(*documents), verdicts(*documents)
    if json:
        rows = [{**asdict(each), "ratio": each.ratio} for each in found]
        head = {"schema": 1, "bench": documents[0]["bench"], "origins": origins, "warnings": warnings}
        return emit({**head, "figures": rows, "verdicts": [asdict(each) for each in words]})
    for line in warnings:
        say(f"warning: {line}")
    rows = [
        (each.name, number(each.first), number(each.second), _ratio(each.ratio), each.unit, each.better)
        for each in found
    ]
    said = [(each.name, each.first, each.second) for each in words]
    of_both = [(key, origins[0][key], origins[1][key]) for key in origins[0]]
    width = terminal_width()
    return _whole(of_both, rows, said) if width is None else _within(width, of_both, rows, said)


def _whole(of_both: list[Three], rows: list[Row], said: list[Three]) -> None:
    """For a file or a pipe: a line for each figure, with its whole name."""
    table(("", "A", "B"), of_both)
    tell("")
    table(HEADINGS, rows)
    if said:
        tell("")
        table(("verdict", "A", "B"), said)


def _within(width: int, of_both: list[Three], rows: list[Row], said: list[Three]) -> None:
    """For a terminal: words in lines of its width, and a table for each thing that was measured."""
    for three in of_both:
        _words(three, width)
    for thing, group in groupby(rows, key=lambda row: row[0].rpartition(": ")[0]):
        tell(f"\n{thing}" if thing else "")
        table(HEADINGS, [(row[0].rpartition(": ")[2], *row[1:]) for row in group])
    tell("")
    for three in said:
        _words(three, width)


def _words(three: Three, width: int) -> None:
    """A name, and what A and B say of it; once where both say the same."""
    name, first, second = three
    both = first == second
    paragraph(f"{name}, A and B: {first or NOTHING}" if both else f"{name}, A: {first or NOTHING}", width)
    if not both:
        paragraph(f"{' ' * len(name)}  B: {second or NOTHING}", width)


def _ratio(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"
