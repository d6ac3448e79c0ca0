"""`nanoconsole bench memory`: what each technique does to memory, estimated and measured; a worker process measures."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nanoconsole.cli import complete
from nanoconsole.cli.bench_result import Out, Report, by_worker, deliver
from nanoconsole.cli.fitted import fitted, paragraph, terminal_width
from nanoconsole.cli.options import Json, Set, examples
from nanoconsole.cli.output import tell

Preset = Annotated[str, typer.Option("--preset", metavar="NAME", help="The model, a preset or a .toml file.", autocompletion=complete.presets)]  # fmt: skip
PARTS = ("optimizer", "activations", "peak")
GIGABYTE = 1e9


def register(group: typer.Typer) -> None:
    lines = ("bench memory", "bench memory --preset nano-125m", "bench memory --set training.batch_size=16 --json")
    group.command("memory", epilog=examples(*lines))(memory)


def memory(
    context: typer.Context, preset: Preset = "tiny-cpu", sets: Set = None, json: Json = False, out: Out = None
) -> None:
    """Measure memory by technique.

    Optimizer state, what a step keeps for its backward pass, and the peak: estimated by arithmetic, and measured from
    live tensors where a step is short enough and fits. Below it medium-3b by arithmetic, beside what was claimed.
    docs/benchmarks.md explains the columns.
    """
    request = {"verb": "bench-memory", "preset": preset, "sets": sets or []}
    deliver(context, "memory", lambda: by_worker(request), _show, json=json, out=out)


def _show(report: Report) -> None:
    from nanoconsole.services.format import size

    width = terminal_width()
    headings = [f"{part}, {side}" for part in PARTS for side in ("estimated", "measured")]
    rows = [(row["technique"], _share(row), *_cells(row)) for row in report["rows"]]
    fitted((f"{report['preset']}", "matrix state", *headings), rows, width)
    device = report["machine"]["device"]
    tell(f"computed in {device['dtype']} ({device['device_name']})")
    if any(row[part]["within"] is False for row in report["rows"] for part in PARTS):
        tell(
            "! "
            + ", ".join(f"{part}: {_bound(report['bounds'][part])}" for part in PARTS)
            + " is promised, and not kept here"
        )
    for reason in dict.fromkeys(row["reason"] for row in report["rows"] if row["reason"]):
        tell(reason)
    for name, reason in report["left_out"].items():
        tell(f"{name}: left out: {reason}")
    claim = report["claim"]
    tell("")
    paragraph(f"{claim['words']}.", width)
    parts = ("weights", "gradients", "optimizer", "activations", "peak")
    fitted((f"{claim['preset']}, by arithmetic", *parts), [
        (row["technique"], *(f"{row[part] / GIGABYTE:.2f} GB" for part in parts)) for row in claim["rows"]
    ], width)  # fmt: skip
    tell(f"parameters {claim['rows'][0]['parameters']:,}; weights take {size(claim['rows'][0]['weights'])}")


def _bound(bound: float) -> str:
    return f"within {100 * bound:.0f} %" if bound else "exact"


def _share(row: dict[str, Any]) -> str | None:
    share = row["matrix_state_share"]
    return None if share is None else f"{100 * share:.1f} %"


def _cells(row: dict[str, Any]) -> list[str]:
    """Estimated and measured by part; a mark where the estimate is farther off than is promised."""
    from nanoconsole.services.format import size

    cells = []
    for part in PARTS:
        found = row[part]
        cells += [size(found["estimated"]), size(found["measured"]) + (" !" if found["within"] is False else "")]
    return cells
