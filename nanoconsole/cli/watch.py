"""`nanoconsole watch`: look at a run while it trains, from here or over ssh."""

from __future__ import annotations

from typing import Annotated

import typer

from nanoconsole.cli.options import Json, Run, Runs, examples


def register(app: typer.Typer) -> None:
    app.command(
        "watch",
        epilog=examples(
            "watch tiny-cpu-0001",
            "watch tiny-cpu-0001 --low-bandwidth",
            "watch tiny-cpu-0001 --json | jq .step",
            "--runs /mnt/runs watch a-run",
        ),
    )(watch)


def watch(
    run: Run,
    low_bandwidth: Annotated[
        bool, typer.Option("--low-bandwidth", help="Lines, one in ten seconds, instead of a display that redraws.")
    ] = False,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Show a run while it trains, without touching it.

    Ends with the run and its exit code. Ctrl-C ends only the watching. What leaves the range of an alert rule is told, and
    nothing is done about it. Over a slow line --low-bandwidth sends less than a kilobyte a minute.
    """
    from nanoconsole.cli import follow
    from nanocore.runs.layout import find_run, run_root

    raise typer.Exit(follow.watch(find_run(run_root(runs), run), as_json=json, sparse=low_bandwidth))
