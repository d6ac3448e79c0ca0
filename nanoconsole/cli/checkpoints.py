"""`nanoconsole checkpoints`: what a run has saved, whole or damaged, and deleting one of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from nanoconsole.cli.options import Json, Run, Runs, examples
from nanoconsole.cli.output import emit, say, table

if TYPE_CHECKING:
    from nanoconsole.services.checkpoints import Saved


def register(app: typer.Typer) -> None:
    lines = ("checkpoints tiny-cpu-0001", "checkpoints tiny-cpu-0001 --delete 200", "checkpoints tiny-cpu-0001 --json")
    app.command("checkpoints", epilog=examples(*lines))(checkpoints)


def checkpoints(
    run: Run,
    delete: Annotated[int | None, typer.Option("--delete", min=0, metavar="STEP", help="Delete this one.")] = None,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """List the checkpoints of a run.

    The newest first, each file compared with its hash. The only good one, one that a fork still begins with, and those of
    a run at work are not deleted.
    """
    from nanoconsole.services import checkpoints as service
    from nanocore.runs.layout import find_run, run_root

    root = run_root(runs)
    folder = find_run(root, run)
    if delete is not None:
        service.delete(root, folder, delete)
        say(f"deleted the checkpoint of step {delete}")
    found = service.read(folder)
    for each in service.verified(found):
        found = each
    if json:
        return emit({"run": run, "checkpoints": [saved.facts() for saved in found]})
    return table(("STEP", "STATE", "AGE", "SIZE", "HELD-OUT", ""), [_row(saved) for saved in found])


def _row(saved: Saved) -> list[object]:
    from nanoconsole.services.format import age, number, size

    marks = ", ".join(["best"] * saved.best + ["newest"] * saved.newest)
    loss = number(saved.held_out) if saved.held_out is not None else None
    return [saved.step, saved.problem or saved.state, age(saved.created, time.time()), size(saved.bytes), loss, marks]
