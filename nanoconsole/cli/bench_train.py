"""`nanoconsole bench train`: training speed beside a plain float torch model of the same shape; a worker process measures."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nanoconsole.cli.bench_memory import Preset
from nanoconsole.cli.bench_result import Out, Report, by_worker, deliver
from nanoconsole.cli.options import Json, Set, examples
from nanoconsole.cli.output import table, tell
from nanocore.bench.results import MODES, Mode
from nanocore.wording import counted

ROUNDS, QUICK = 5, 1
TERA = 1e12

Threads = Annotated[
    list[int] | None,
    typer.Option("--threads", min=1, max=1024, help="Threads on a CPU; may be repeated [1 and 2]. A GPU ignores it."),
]
Only = Annotated[Mode | None, typer.Option("--only", help="Measure this mode alone; torch.compile takes minutes.")]
Quick = Annotated[bool, typer.Option("--quick", help="One round instead of five: whether it works.")]


def register(group: typer.Typer) -> None:
    lines = (
        "bench train",
        "bench train --only eager --threads 1",
        "bench train --preset nano-125m --out train.json",
    )
    group.command("train", epilog=examples(*lines))(train)


def train(
    context: typer.Context,
    preset: Preset = "tiny-cpu",
    sets: Set = None,
    threads: Threads = None,
    only: Only = None,
    quick: Quick = False,
    json: Json = False,
    out: Out = None,
) -> None:
    """Measure training speed.

    Tokens a second and the parts of a step of the model as configured, with one residual stream, with float matrices, and
    of a plain torch model of the same shape, eager and compiled; MFU on a GPU whose peak is known. Real batches; rounds are
    interleaved and medians count. A busy machine spoils it. docs/benchmarks.md explains the columns.
    """
    from nanocore.runs.processors import refuse_threads
    from nanocore.runs.spawn import thread_count

    for count in threads or ():
        refuse_threads(count, fix="leave --threads out for 1 and 2")
    request = {
        "verb": "bench-train",
        "preset": preset,
        "sets": sets or [],
        "threads": sorted({*threads}) if threads else [1, 2][: thread_count()],
        "modes": [only] if only else [*MODES],
        "rounds": QUICK if quick else ROUNDS,
    }
    deliver(context, "train", lambda: by_worker(request), _show, json=json, out=out)


def _show(report: Report) -> None:
    headings = (
        "threads",
        "parameters",
        "tok/s",
        "x plain",
        "step ms",
        "data wait",
        "forward",
        "backward",
        "optimizer",
        "MFU %",
    )
    table((report["preset"], "mode", *headings), [_cells(row) for row in report["rows"]])
    for row in report["rows"]:
        if row["reason"]:
            tell(f"{row['model']}, {row['mode']}, {counted(row['threads'], 'thread')}: {row['reason']}")
    device, peak = report["machine"]["device"], report["machine"]["peak_flops"]
    rate = f"; MFU is of {peak / TERA:.0f} TFLOP/s, dense, as its maker states" if peak else ""
    tell(f"{device['device_name']}, {device['dtype']}{rate}")


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    from nanocore.runs.metrics import STEP_PARTS

    return (
        row["model"], row["mode"], row["threads"], row["parameters"], _figure(row["tokens_per_second"], 1, 0), _figure(row["against_plain"], 1, 2),
        _figure(row["step_seconds"], 1e3, 1), *(_figure(row["parts"][part], 1e3, 1) for part in STEP_PARTS), _figure(row["mfu"], 100, 1),
    )  # fmt: skip


def _figure(value: float | None, scale: float, digits: int) -> str | None:
    return None if value is None else f"{scale * value:.{digits}f}"
