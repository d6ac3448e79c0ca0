"""`nanoconsole tensorboard`: TensorBoard over a run, for as long as it trains or until Ctrl-C."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from nanoconsole.cli.options import Json, Run, Runs, examples
from nanoconsole.cli.output import emit_line, say, tell
from nanocore.errors import ResourceError

if TYPE_CHECKING:
    from nanoconsole.services.tensorboard import TensorBoard
    from nanocore.runs.layout import RunFolder

INTERVAL = 1.0  # seconds between two looks at the run


def register(app: typer.Typer) -> None:
    app.command("tensorboard", epilog=examples("tensorboard tiny-cpu-0001", "tensorboard tiny-cpu-0001 --port 7007"))(
        tensorboard
    )


def tensorboard(
    run: Run,
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535, help="Else the next free from 6006.")] = None,
    with_run: Annotated[
        bool, typer.Option("--with-run", help="End also when the run ended before this began.")
    ] = False,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Open TensorBoard on this machine and print its address.

    It ends with the run; over a run that has ended it stays until Ctrl-C. The data server is reachable from this
    machine only.
    """
    from nanoconsole.services.tensorboard import TensorBoard
    from nanocore.runs.layout import find_run, private, run_root

    root = run_root(runs)
    folder = find_run(root, run)
    ends_with_run = with_run or _trains(folder)
    log = private(root) / f"tensorboard-{run}.log"
    with TensorBoard(folder, log, port=port) as board:
        emit_line({"run": run, "url": board.url}) if json else tell(board.url)
        say("reachable from this machine only; Ctrl-C ends it")
        _until_end(folder, board, ends_with_run)
        if not board.alive:
            raise ResourceError("TensorBoard ended by itself", where=str(log), fix="read this file")


def _until_end(folder: RunFolder, board: TensorBoard, ends_with_run: bool) -> None:
    """Return when the run has ended, when TensorBoard has, or at Ctrl-C."""
    try:
        while board.alive and (_trains(folder) or not ends_with_run):
            time.sleep(INTERVAL)
    except KeyboardInterrupt:
        return


def _trains(folder: RunFolder) -> bool:
    from nanocore.runs.liveness import observe

    return observe(folder).at_work
