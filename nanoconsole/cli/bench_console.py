"""`nanoconsole bench console`: how quick the console is on this machine, beside an empty Textual app."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from nanoconsole.cli.bench_result import Out, Report, deliver
from nanoconsole.cli.options import Json, examples
from nanoconsole.cli.output import say, table


class Part(StrEnum):
    """What can be measured, each by the function of that name in nanoconsole.bench.console."""

    FIRST_FRAME = "first-frame"
    IDLE = "idle"
    CHARTS = "charts"
    ATTACH = "attach"
    KEYS = "keys"
    MEMORY = "memory"
    RUNS = "runs"


Only = Annotated[list[Part] | None, typer.Option("--only", help="Measure this part; may be repeated [all].")]
Quick = Annotated[bool, typer.Option("--quick", help="Short histories, one round: whether it works.")]


def register(group: typer.Typer) -> None:
    lines = ("bench console", "bench console --only first-frame --only keys", "bench console --out console.json")
    group.command("console", epilog=examples(*lines))(console)


def console(
    context: typer.Context, only: Only = None, quick: Quick = False, json: Json = False, out: Out = None
) -> None:
    """Measure the console itself.

    The first frame, processor time at rest and with charts that grow, opening a run of a million records, keys while
    two processes compute, memory over an hour of records. In terminals of its own, with invented runs in a temporary
    folder (half a gigabyte). Takes minutes; a busy machine spoils it. docs/benchmarks.md explains the figures.
    """

    def measure() -> Report:
        from nanoconsole.bench.console import FULL, QUICK, bench_console

        chosen = [part.value for part in Part if not only or part in only]
        return bench_console(chosen, QUICK if quick else FULL, say)

    deliver(context, "console", measure, _show, json=json, out=out)


def _show(report: Report) -> None:
    table(("figure", "value", "unit", "empty app", "ratio"), [_cells(row) for row in report["rows"]])


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    from nanoconsole.services.format import number

    other, ratio = row["empty_app"], row["ratio"]
    return (
        row["figure"], number(row["value"]), row["unit"], None if other is None else number(other),
        None if ratio is None else f"{ratio:.2f}",
    )  # fmt: skip
