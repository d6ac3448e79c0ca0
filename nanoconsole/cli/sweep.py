"""`nanoconsole queue sweep`: every combination of some values, each a run of its own in the queue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanoconsole.cli.options import Json, Runs, Set, Target, examples
from nanoconsole.cli.output import emit, say, table
from nanocore.errors import ConfigError
from nanocore.runs.hints import to_type

if TYPE_CHECKING:
    from nanoconsole.services.sweep import Planned

Slots = Annotated[int, typer.Option("--slots", min=1, max=64, help="Runs at a time while this one works; 1 is alone.")]
StopOnFailure = Annotated[
    bool, typer.Option("--stop-on-failure", help="When this run fails start no other, until `queue start`.")
]
Restarts = Annotated[
    int,
    typer.Option("--restarts", min=0, max=1000, help="Starts again after a crash or a kill, at most so often."),
]
Over = Annotated[
    list[str],
    typer.Option("--over", metavar="KEY=V1,V2", help="A key and its values; repeated, all combinations."),
]
Stem = Annotated[str, typer.Option("--name", metavar="NAME", help="How the names of the runs begin; else the preset.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the runs, and make none.")]


def register(group: typer.Typer) -> None:
    lines = (
        "queue sweep tiny-cpu --over training.seed=1,2,3",
        "queue sweep tiny-cpu --over optimizer.matrix_lr=0.01,0.02 --over mhc.streams=1,2 --dry-run",
    )
    group.command("sweep", epilog=examples(*lines))(sweep)


def sweep(
    context: typer.Context,
    target: Target,
    over: Over,
    set: Set = None,
    name: Stem = "",
    slots: Slots = 1,
    stop_on_failure: StopOnFailure = False,
    restarts: Restarts = 0,
    dry_run: DryRun = False,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Queue a run for each combination of values.

    At most 256 runs, each named after its values. Nothing is queued when one of them could not be trained.
    """
    from nanoconsole.cli.target import label
    from nanoconsole.services.launcher import Wanted, enqueue
    from nanocore.runs.layout import run_root

    root = run_root(runs)
    planned = _plan(target, root, set or [], over, name)
    if dry_run:
        return _print(planned, as_json=json)
    made = enqueue(
        [Wanted(run.config, run.name) for run in planned if run.config],
        root=root,
        preset=label(target, root),
        argv=["nanoconsole", *(context.find_root().obj or ())],
        slots=slots,
        stop_on_failure=stop_on_failure,
        restarts=restarts,
    )
    say(f"{len(made)} runs wait in the queue; look: {to_type('queue list')}")
    return _print(planned, as_json=json)


def _plan(target: str, root: Path, sets: list[str], over: list[str], name: str) -> list[Planned]:
    """The runs of the grid. Raises UsageError or ConfigError for lines, or runs, that cannot be used."""
    from nanoconsole.cli.target import label, source
    from nanoconsole.services.sweep import axes, plan
    from nanocore.config.overrides import apply
    from nanocore.config.resolve import target_path
    from nanocore.config.toml import read_table
    from nanocore.runs.create import stem

    found = axes(over)
    base = apply(read_table(target_path(source(target, root))), sets)
    beginning = name or stem(label(target, root))
    planned = list(plan(base, found, beginning, lambda each: (root / each).exists()))
    if bad := [f"{', '.join(run.sets)}: {run.problem}" for run in planned if run.config is None]:
        raise ConfigError(bad)
    return planned


def _print(planned: list[Planned], *, as_json: bool) -> None:
    if as_json:
        return emit([{"run": run.name, "sets": _values(run)} for run in planned])
    return table(("run", "sets"), [(run.name, ", ".join(run.sets)) for run in planned])


def _values(run: Planned) -> dict[str, Any]:
    from nanocore.config.overrides import parse

    return dict(parse(each) for each in run.sets)
