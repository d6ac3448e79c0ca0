"""`nanoconsole bench`: how fast this machine is with what, beside its own limits; a worker process measures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

import typer

from nanoconsole.cli import bench_compare, bench_console, bench_e3, bench_memory, bench_train
from nanoconsole.cli.bench_result import Out, Report, by_worker, deliver
from nanoconsole.cli.options import Json, examples
from nanoconsole.cli.output import table, tell

Part = Literal["limits", "gemv", "gemm", "end-to-end"]
PARTS: tuple[Part, ...] = get_args(Part)
NAMES = {"linear": "torch linear", "_int_mm": "torch _int_mm", "torch": "ours, torch"}
Quick = Annotated[bool, typer.Option("--quick", help="Small shapes, a small model, few rounds: whether it works.")]
Only = Annotated[Part | None, typer.Option("--only", help="Measure this part alone.")]
Threads = Annotated[list[int] | None, typer.Option("--threads", min=1, help="Threads; may be repeated [1 and 2].")]


LIMITS = {"memory": "limit: reading", "arithmetic": "limit: arithmetic", "unpacking": "limit: unpacking and arithmetic"}


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Measure speed on this machine.", rich_markup_mode=None, no_args_is_help=True)
    lines = ("bench kernels", "bench kernels --quick", "bench kernels --only gemv --threads 1 --json")
    group.command("kernels", epilog=examples(*lines))(kernels)
    for verb in (bench_e3, bench_train, bench_memory, bench_console, bench_compare):
        verb.register(group)
    app.add_typer(group, name="bench")


def kernels(
    context: typer.Context,
    quick: Quick = False,
    only: Only = None,
    threads: Threads = None,
    json: Json = False,
    out: Out = None,
) -> None:
    """Measure products with ternary weights.

    The limits of the machine, products with one token and with several beside torch's, and tokens a second of whole
    models, beside llama.cpp where llama-cpp-python is installed. Takes minutes; a busy machine spoils it. Every result
    is checked: a wrong one ends the command. docs/kernels.md explains the columns.
    """
    from nanocore.runs.processors import refuse_threads

    for count in threads or ():
        refuse_threads(count, fix="leave --threads out for 1 and 2")
    parts, counts = [only] if only else [*PARTS], sorted({*(threads or ())})
    request = {"verb": "bench-kernels", "parts": parts, "threads": counts, "quick": quick}
    deliver(context, "kernels", lambda: by_worker(request), _show, json=json, out=out)


def _show(report: Report) -> None:
    _machine(report["machine"])
    if "limits" in report:
        _limits(report["limits"])
    for part in ("gemv", "gemm"):
        _products(part, report.get(part, []), report["left_out"].get("llama.cpp", ""))
    if "end_to_end" in report:
        _end_to_end(report["end_to_end"])


def _machine(facts: dict[str, Any]) -> None:
    from nanoconsole.services.format import size

    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if version)
    rows = [
        ("cpu", facts["cpu"]),
        ("cpus", facts["cpus"]),
        ("largest cache", size(facts["cache_bytes"])),
        ("active path", facts["active_path"]),
        ("versions", versions),
        ("load average", facts["load_average"]),
    ]
    table(("machine", ""), rows)


def _limits(limits: dict[str, Any]) -> None:
    from nanoconsole.services.format import size

    if limits["skipped"]:
        return tell(f"\nlimits {limits['skipped']}")
    measured = limits["measured"]
    headings = [_threads(each["threads"]) for each in measured]
    tell("")
    reads = zip(*(each["read"] for each in measured), strict=True)
    table(("reading, GB/s", *headings), ((size(row[0]["bytes"]), *(each["gbps"] for each in row)) for row in reads))
    tell("")
    dots = zip(*(each["dot"] for each in measured), strict=True)
    return table(("dot products, GOPS", *headings), ((row[0]["path"], *(each["gops"] for each in row)) for row in dots))


def _products(part: str, races: list[dict[str, Any]], missing: str) -> None:
    """One table for each shape: contestants down, tokens, data and threads across. `missing` is why llama.cpp is not there."""
    for shape in dict.fromkeys((each["rows"], each["columns"]) for each in races):
        own = [each for each in races if (each["rows"], each["columns"]) == shape]
        tell("")
        headings = (f"{part} {shape[0]} x {shape[1]}, GOPS", "weights", *map(_race, own))
        table(headings, [*_limit_rows(own), *_result_rows(own)])
    if races and missing:
        tell(f"llama.cpp {missing}")


def _limit_rows(races: list[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
    """What reading the weights would allow, what the path's dot products would, and those with unpacking on one thread."""
    for bound, title in LIMITS.items():
        for name in dict.fromkeys(name for each in races for name in each["limits"][bound]):
            path, _, weights = ("", "", name) if bound == "memory" else name.partition(" ")
            rates = [each["limits"][bound].get(name) for each in races]
            yield (
                f"{title} {path}".strip(),
                weights or None,
                *(None if rate is None else f"{rate:.0f}" for rate in rates),
            )


def _result_rows(races: list[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
    for row in zip(*(each["results"] for each in races), strict=True):
        path = row[0]["path"]
        yield (NAMES.get(path, path), row[0]["weights"], *map(_result, row))


def _race(race: dict[str, Any]) -> str:
    tokens = "" if race["tokens"] == 1 else f"{race['tokens']} tok "
    return f"{tokens}{race['data']} {race['threads']}T"


def _result(result: dict[str, Any]) -> str:
    from nanoconsole.services.format import number

    share = "" if result["share"] is None else f" {100 * result['share']:.0f} %"
    return number(result["gops"]) + share


def _end_to_end(found: dict[str, Any]) -> None:
    if found["skipped"]:
        return tell(f"\nend to end {found['skipped']}")
    for model in found["models"]:
        tell("")
        headings = (f"{model['name']}, tok/s", "threads", "ours", "llama.cpp", "ratio")
        table(headings, [_model_row(row, found) for row in model["results"]])
        if model["llama_cpp"]:
            tell(f"llama.cpp {model['llama_cpp']}")
    return None


def _model_row(row: dict[str, Any], found: dict[str, Any]) -> tuple[Any, ...]:
    tokens = found["generated"] if row["work"] == "decode" else found["prompt"]
    sides = (row["sides"].get(name, {}).get("tokens_per_second") for name in ("ours", "llama.cpp"))
    return (f"{row['work']}, {tokens} tokens", row["threads"], *sides, row["ratio"])


def _threads(count: int) -> str:
    return f"{count} thread" + ("s" if count > 1 else "")
