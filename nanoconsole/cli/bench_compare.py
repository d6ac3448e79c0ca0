"""`nanoconsole bench compare`: two results side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nanoconsole.cli.options import Json, examples
from nanoconsole.cli.output import emit, say, table, tell

First = Annotated[Path, typer.Argument(metavar="A.json", help="A result, as --json printed it, or --out kept it.")]
Second = Annotated[Path, typer.Argument(metavar="B.json", help="Another of the same kind.")]


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
    table(("", "A", "B"), [(key, origins[0][key], origins[1][key]) for key in origins[0]])
    tell("")
    rows = [
        (each.name, number(each.first), number(each.second), _ratio(each.ratio), each.unit, each.better)
        for each in found
    ]
    table(("figure", "A", "B", "B / A", "unit", "better"), rows)
    if words:
        tell("")
        table(("verdict", "A", "B"), [(each.name, each.first, each.second) for each in words])
    return None


def _ratio(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"
