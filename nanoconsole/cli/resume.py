"""`nanoconsole resume`: let a paused run go on, or start one that was only created or has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nanoconsole.cli.options import Board, Json, Run, Runs, Set, examples
from nanocore.errors import BusyError, UsageError
from nanocore.runs.hints import to_type

if TYPE_CHECKING:
    from nanocore.runs.layout import RunFolder

Follow = Annotated[bool, typer.Option("--follow/--detach", help="Show progress until it ends, or return at once.")]


def register(app: typer.Typer) -> None:
    lines = ("resume tiny-cpu-0001", "resume tiny-cpu-0001 --set training.steps=2000 --follow")
    app.command("resume", epilog=examples(*lines))(resume)


def resume(
    run: Run,
    set: Set = None,
    follow: Follow = False,
    tensorboard: Board = None,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Continue a paused or ended run.

    A paused one goes on at once, an ended one starts again from its last checkpoint, and one that was only created
    starts. One that fails before it has loaded its checkpoint, or within four seconds of preparing text or building
    the model, is reported with its exit code. With --follow, Ctrl-C is as in `train`. Exit 75 while it trains.

    --set may change training.steps, tokens or duration and the sections logging, evaluation, checkpoint and hardware
    of an ended run, and what leaves the curve as it is, such as training.accumulation (docs/configuration.md lists
    all). Anything else makes it another experiment: train --from RUN.
    """
    from nanoconsole.cli.train import beside
    from nanoconsole.services.launcher import restart
    from nanocore.runs.layout import find_run, run_root
    from nanocore.runs.liveness import observe

    root = run_root(runs)
    folder = find_run(root, run)
    state = observe(folder)
    if state.state == "paused":
        _refuse_options(run, bool(set), bool(tensorboard))
        return _unpause(folder, follow=follow, as_json=json)
    if state.alive or state.state == "starting":
        raise BusyError(f"is {state.text}", where=run, fix=f"look: {to_type(f'watch {run}')}")
    if state.state == "elsewhere":
        raise BusyError(state.reason, where=run, fix="resume it there")
    return beside(restart(folder, set or ()), root, follow=follow, tensorboard=tensorboard, as_json=json)


def _unpause(folder: RunFolder, *, follow: bool, as_json: bool) -> None:
    from nanoconsole.cli.control import ask
    from nanoconsole.cli.follow import follow as stay
    from nanocore.runs.steer import request

    if not follow:
        return ask(folder, "resume", as_json=as_json)
    request(folder, "resume")
    raise typer.Exit(stay(folder, as_json=as_json))


def _refuse_options(run: str, sets: bool, tensorboard: bool) -> None:
    if sets:
        raise UsageError("is paused, and only an ended run takes --set", where=run, fix="stop it first")
    if tensorboard:
        raise UsageError("is paused, not ended", where=run, fix=f"open it with {to_type(f'tensorboard {run}')}")
