"""Verbs that ask something of a trainer at work: stop, pause, checkpoint, sample, fire."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from nanoconsole.cli import complete
from nanoconsole.cli.options import Json, Runs, examples
from nanoconsole.cli.output import emit, say
from nanocore.errors import UsageError
from nanocore.runs.hints import to_type

if TYPE_CHECKING:
    from pathlib import Path

    from nanocore.runs.layout import RunFolder
    from nanocore.runs.records import Tail

ANSWER_SECONDS = 3.0  # a trainer looks for commands between steps, which may take longer than anyone wants to wait
INTERVAL = 0.1

Run = Annotated[str, typer.Argument(metavar="RUN", help="Name of a run at work.", autocompletion=complete.at_work)]
AfterCheckpoint = Annotated[bool, typer.Option("--after-checkpoint", help="At its next scheduled checkpoint.")]
Now = Annotated[bool, typer.Option("--now", help="By signal; killed when it has not saved within 30 s.")]
Kill = Annotated[bool, typer.Option("--kill", help="At once and without saving: the last checkpoint stays.")]
Wait = Annotated[bool, typer.Option("--wait", help="Return when it has ended.")]


def register(app: typer.Typer) -> None:
    lines = ("stop tiny-cpu-0001", "stop tiny-cpu-0001 --wait", "stop tiny-cpu-0001 --after-checkpoint")
    app.command("stop", epilog=examples(*lines))(stop)
    app.command("pause", epilog=examples("pause tiny-cpu-0001", "resume tiny-cpu-0001"))(pause)
    app.command("checkpoint", epilog=examples("checkpoint tiny-cpu-0001"))(checkpoint)
    app.command("sample", epilog=examples("sample tiny-cpu-0001"))(sample)
    app.command("fire", epilog=examples("checkpoint tiny-cpu-0001", "fire tiny-cpu-0001"))(fire)


def stop(
    run: Run,
    after_checkpoint: AfterCheckpoint = False,
    now: Now = False,
    kill: Kill = False,
    wait: Wait = False,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Stop a run after its present step, saved.

    It can be resumed.
    """
    if after_checkpoint + now + kill > 1:
        raise UsageError("--after-checkpoint, --now and --kill exclude each other")
    folder = _find(run, runs)
    if now or kill:
        return _force(folder, patience=0.0 if kill else 30.0, as_json=json)
    ask(folder, "stop-after-checkpoint" if after_checkpoint else "stop", wait=wait, as_json=json)
    return None


def pause(run: Run, runs: Runs = None, json: Json = False) -> None:
    """Pause a run between two steps; it keeps its memory.

    `nanoconsole resume RUN` lets it go on.
    """
    ask(_find(run, runs), "pause", as_json=json)


def checkpoint(run: Run, runs: Runs = None, json: Json = False) -> None:
    """Save a checkpoint after the present step."""
    ask(_find(run, runs), "checkpoint", as_json=json)


def sample(run: Run, runs: Runs = None, json: Json = False) -> None:
    """Write a text sample after the present step.

    `watch` and `runs show` print it.
    """
    ask(_find(run, runs), "sample", as_json=json)


def fire(run: Run, runs: Runs = None, json: Json = False) -> None:
    """Reinitialise matrices after the present step.

    FIRE: the matrices named by the run's fire.parameters become the nearest orthogonal ones and their optimizer state
    is forgotten, as when the text changes. Save a checkpoint before: only that brings the old weights back. Exit 2 when
    nothing trains the run.
    """
    ask(_find(run, runs), "fire", as_json=json)


def ask(run: RunFolder, command: str, *, wait: bool = False, as_json: bool = False) -> None:
    """Send a command and report whether the trainer took it. Raises UsageError when nothing trains the run."""
    from nanocore.runs.records import Tail
    from nanocore.runs.steer import request, wait_until_ended

    events = Tail(run.events_file, keep=1)  # from the last newline on
    request(run, command)
    step = _acknowledged(events, command)
    if wait:
        wait_until_ended(run)
    if as_json:
        return emit({"run": run.name, "command": command, "acknowledged": step is not None, "step": step})
    answer = f"taken at step {step}" if step is not None else "left for the trainer, which looks between its steps"
    return say(f"{run.name}: {command}: {answer}")


def _find(run: str, runs: Path | None) -> RunFolder:
    from nanocore.runs.layout import find_run, run_root

    return find_run(run_root(runs), run)


def _force(run: RunFolder, *, patience: float, as_json: bool) -> None:
    from nanocore.runs.steer import force_stop

    ended_by = force_stop(run, patience=patience)
    if as_json:
        return emit({"run": run.name, "command": "stop", "ended_by": ended_by})
    return say(f"{run.name}: ended by {ended_by}; go on with: {to_type(f'resume {run.name}')}")


def _acknowledged(events: Tail, command: str) -> int | None:
    """The step at which the trainer took the command, or None when it has not said so within a few seconds."""
    from nanocore.runs.curve import usable

    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        for event in events.read():
            if event.get("kind") == "acknowledged" and event.get("command") == command:
                return event["step"] if usable(event) else 0
        time.sleep(INTERVAL)
    return None
