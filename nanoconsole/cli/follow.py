"""Following a run until it ends: the loop behind `train --follow`, `resume --follow` and `watch`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nanoconsole.cli.displays import choose
from nanoconsole.cli.output import emit_line, say
from nanoconsole.cli.streams import OutputError
from nanocore.errors import ResourceError
from nanocore.runs.hints import to_type

if TYPE_CHECKING:
    from nanoconsole.cli.displays import Display
    from nanoconsole.cli.view import RunView
    from nanoconsole.services.onlooker import Onlooker
    from nanoconsole.services.tensorboard import Companion
    from nanocore.runs.layout import RunFolder

INTERVAL = 0.25  # seconds between two looks at the run folder
INTERRUPTED = 130
NO_FACTS: Mapping[str, Any] = {}


def follow(
    run: RunFolder, facts: Mapping[str, Any] = NO_FACTS, *, board: Companion | None = None, as_json: bool = False
) -> int:
    """Show the run until it ends and return the trainer's exit code; say where TensorBoard is when it is there.

    As JSON `facts` about a launch are the first line. When nobody reads any more, what goes on is said on stderr.

    Ctrl-C asks the trainer to stop with a checkpoint and waits for it: 130 when it has, or had made no step to save,
    else the trainer's exit code. A second Ctrl-C ends only the following, which is 130 too: the stop that was asked for
    stays in force.
    """
    from nanocore.runs.control import send

    asked = False
    try:
        if as_json and facts:
            emit_line({"kind": "run", **facts})
        view, display = _opened(run, as_json)
        with display:
            try:
                return _until_end(view, display, board)
            except KeyboardInterrupt:
                send(run, "stop")
                asked = True
                display.note(f"{_stopping(view)}; Ctrl-C again ends only this command, not the stop")
            code = _until_end(view, display)
            return INTERRUPTED if view.state.state in ("stopped", "finished") else code
    except KeyboardInterrupt:
        say(_left(run, asked))
        return INTERRUPTED
    except OutputError:
        _say_it_goes_on(run)
        raise


def _stopping(view: RunView) -> str:
    """What a stop does: nothing is saved of a run that makes no step before it."""
    begun = view.step > 0 and view.state.state != "starting"
    return f"stopping {view.run.name}{' with a checkpoint' if begun else ', with a checkpoint if it has made a step by then'}"


def _left(run: RunFolder, asked: bool) -> str:
    """What becomes of a run that is followed no more, and how to look on; `asked` says that it was told to stop."""
    look, stop = to_type(f"watch {run.name}"), to_type(f"stop {run.name}")
    if asked:
        return f"{run.name}: the stop stays in force: it saves what it trained and ends; look: {look}; end it at once: {stop} --kill"
    return f"{run.name} still runs; look: {look}; stop it: {stop}"


def watch(run: RunFolder, *, as_json: bool = False, sparse: bool = False) -> int:
    """Show the run until it ends and return the trainer's exit code; Ctrl-C ends only the watching and returns 0.

    `sparse` is for slow lines: as few bytes as still tell how it goes. What leaves the range of an alert rule is told.
    """
    from nanoconsole.services.onlooker import Onlooker
    from nanocore.runs.liveness import observe

    try:
        view, display = _opened(run, as_json, sparse=sparse)
        with display:
            return _until_end(view, display, alerts=Onlooker(run))
    except KeyboardInterrupt:
        say(f"{run.name} {'is not started yet' if observe(run).state == 'created' else 'goes on'}")
        return 0


def _say_it_goes_on(run: RunFolder) -> None:
    from nanocore.runs.liveness import observe

    if observe(run).at_work:
        say(f"{run.name} goes on training; stop it: {to_type(f'stop {run.name}')}")


def _opened(run: RunFolder, as_json: bool, *, sparse: bool = False) -> tuple[RunView, Display]:
    from nanoconsole.cli.view import RunView
    from nanocore.config.toml import load
    from nanocore.runs.staging import configuration_file

    every = load(configuration_file(run)).logging.console_every
    return RunView(run, whole=as_json), choose(as_json=as_json, every=every, sparse=sparse)


def _until_end(
    view: RunView, display: Display, board: Companion | None = None, *, alerts: Onlooker | None = None
) -> int:
    while True:
        if board is not None and (said := _address(board)):
            display.note(said)
            board = None
        for alert in alerts.look(last=view.ended) if alerts else ():
            display.warn(alert)
        display.show(view)
        if view.ended:
            return view.exit_code
        time.sleep(INTERVAL)
        view.poll()


def _address(board: Companion) -> str:
    """What to say of TensorBoard, once: its address, or why it has none. Its failure never ends the following."""
    try:
        url = board.url()
    except ResourceError as error:
        return str(error)
    return f"TensorBoard: {url}" if url else ""
