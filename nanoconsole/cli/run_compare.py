"""`nanoconsole runs compare`: runs against each other at the same step, and what differs in their configurations."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from nanoconsole.cli.options import Json, Runs, examples
from nanoconsole.cli.output import emit, say, table
from nanoconsole.cli.run_notes import Names
from nanocore.errors import UsageError

Metric = Annotated[str, typer.Option("--metric", metavar="NAME", help="What is compared, as eval/bits_per_byte.")]
Axis = Annotated[Literal["step", "tokens", "time"], typer.Option("--axis", help="What the runs are aligned by.")]
At = Annotated[float | None, typer.Option("--at", metavar="X", help="Where: a step, tokens or seconds; else the last that all reached.")]  # fmt: skip
Baseline = Annotated[str, typer.Option("--baseline", metavar="RUN", help="Differences are to this run; else to the first.")]  # fmt: skip


def register(group: typer.Typer) -> None:
    lines = (
        "runs compare tiny-cpu-0001 tiny-cpu-0002",
        "runs compare mtp-s1 base-s1 --metric eval/ce --baseline base-s1 --at 1000",
        "runs compare tiny-cpu-0001 tiny-cpu-0002 --json | jq .config",
    )
    group.command("compare", epilog=examples(*lines))(compare)


def compare(
    names: Names,
    metric: Metric = "loss/ce",
    axis: Axis = "step",
    at: At = None,
    baseline: Baseline = "",
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Compare runs, finished or at work, at the same step.

    Their values and the differences to a baseline, their newest and best ones with ranks, and the keys whose values
    differ in their configurations.
    """
    from nanoconsole.services.comparison import document
    from nanoconsole.services.overlay import MOST, Overlay
    from nanocore.runs.layout import find_run, run_root

    root = run_root(runs)
    given = list(dict.fromkeys(names))
    if not 2 <= len(given) <= MOST:
        raise UsageError(f"from 2 to {MOST} runs can be compared, not {len(given)}", fix="name them behind the verb")
    if baseline and baseline not in given:
        raise UsageError(f"the baseline {baseline!r} is none of the runs", fix=f"choose one of {', '.join(given)}")
    overlay = Overlay([find_run(root, name) for name in given])
    while overlay.poll():
        pass
    found = document(overlay, metric, axis, at, given.index(baseline) if baseline else 0)
    return emit(found) if json else _show(found)


def _show(found: dict[str, Any]) -> None:
    from nanoconsole.services import format
    from nanoconsole.services.configs import shown

    say(f"{found['metric']} at {found['axis']} {found['x']:,.6g}; differences to {found['baseline']}")
    rows = [
        (
            run["rank"] or None, run["run"], run["state"], *(_number(run, key) for key in ("value", "difference", "newest", "best")),
            run["step"], format.duration(run["time"]), *(_number(run, f"finals.{key}") for key in run["finals"]),
        )
        for run in found["runs"]
    ]  # fmt: skip
    finals = list(found["runs"][0]["finals"])
    table(("#", "run", "state", "value", "difference", "newest", "best", "step", "trained", *finals), rows)
    if not found["config"]:
        return say("their configurations are the same")
    names = [run["run"] for run in found["runs"]]
    return table(("key", *names), [(each["key"], *map(shown, each["values"])) for each in found["config"]])


def _number(run: dict[str, Any], key: str) -> str:
    """A number of a run; nan and inf, which JSON names beside, in words."""
    from nanoconsole.services import format

    value = run["finals"][key.partition(".")[2]] if key.startswith("finals.") else run[key]
    return run.get("nonfinite", {}).get(key) or format.number(value)
