"""`nanoconsole queue`: runs that wait for their turn."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanoconsole.cli import sweep
from nanoconsole.cli.options import Json, Run, Runs, Set, Target, examples
from nanoconsole.cli.output import emit, say, table, tell
from nanoconsole.cli.sweep import Restarts, Slots, StopOnFailure
from nanocore.runs.hints import to_type

if TYPE_CHECKING:
    from nanocore.runs.queue import Entry

Name = Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the new run; else PRESET-0001 and so on.")]
Position = Annotated[int, typer.Argument(metavar="POSITION", min=1, help="Place among the waiting runs, from 1.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Let runs wait for their turn.", rich_markup_mode=None, no_args_is_help=True)
    lines = ("queue add tiny-cpu", "queue add tiny-cpu --set training.seed=2 --slots 2")
    group.command("add", epilog=examples(*lines))(add)
    group.command("list", epilog=examples("queue list", "queue list --json"))(list_entries)
    group.command("move", epilog=examples("queue move tiny-cpu-0003 1"))(move)
    group.command("cancel", epilog=examples("queue cancel tiny-cpu-0003"))(cancel)
    group.command(
        "set", epilog=examples("queue set tiny-cpu-0003 --slots 2", "queue set tiny-cpu-0003 --stop-on-failure")
    )(set_options)
    group.command("halt", epilog=examples("queue halt"))(halt)
    group.command("start", epilog=examples("queue start"))(start)
    sweep.register(group)
    app.add_typer(group, name="queue")


def add(
    context: typer.Context,
    target: Target,
    set: Set = None,
    name: Name = "",
    slots: Slots = 1,
    stop_on_failure: StopOnFailure = False,
    restarts: Restarts = 0,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Make a run and let it wait for its turn.

    It begins and goes on without this console.
    """
    from nanoconsole.cli.target import configuration, label
    from nanoconsole.services.launcher import Wanted, enqueue
    from nanocore.config.advice import advice
    from nanocore.runs.layout import run_root

    root = run_root(runs)
    config = configuration(target, root, set or ())
    for line in advice(config):
        say(f"note: {line}")
    [run] = enqueue(
        [Wanted(config, name)],
        root=root,
        preset=label(target, root),
        argv=["nanoconsole", *(context.find_root().obj or ())],
        slots=slots,
        stop_on_failure=stop_on_failure,
        restarts=restarts,
    )
    say(f"{run.name}: waits in the queue; look: {to_type('queue list')}")
    return emit({"run": run.name, "path": str(run.path)}) if json else tell(run.name)


def list_entries(runs: Runs = None, json: Json = False) -> None:
    """List the queue.

    What runs and waits in its order, and what ended.
    """
    from nanoconsole.services.waiting import held, silence
    from nanocore.runs.queue import read_queue, supervisor_pid

    root = _awake(runs)
    found = read_queue(root)
    entries = sorted(found.entries, key=lambda entry: entry.state in ("running", "waiting"))
    stalls = [silence(root, entry, time.time()) for entry in entries]
    holds = [held(entry, found.halted) for entry in entries]
    if json:
        rows = [
            {**_facts(entry), "reason": hold or entry.reason, "stall": stall}
            for entry, stall, hold in zip(entries, stalls, holds, strict=True)
        ]
        return emit({"halted": found.halted, "supervisor": supervisor_pid(root), "entries": rows})
    if found.halted:
        say(f"halted: {found.halted}; go on with: {to_type('queue start')}")
    if not entries:
        return say(f"the queue is empty; add to it with: {to_type('queue add tiny-cpu')}")
    table(("run", "state", "place", "slots", "experiment", "since", "reason"), _rows(entries, stalls, holds))
    stuck = next((entry.run for entry, stall in zip(entries, stalls, strict=True) if stall), "")
    return say(f"{stuck} keeps its place until it ends; end it: {to_type(f'stop {stuck} --kill')}") if stuck else None


def move(run: Run, position: Position, runs: Runs = None, json: Json = False) -> None:
    """Put a waiting run at a place among the waiting."""
    from nanocore.runs import queue

    root = _awake(runs)
    queue.move(root, run, position)
    waiting = [entry.run for entry in queue.read_queue(root).pending("waiting")]
    return emit({"waiting": waiting}) if json else say(f"waiting: {', '.join(waiting)}")


def cancel(run: Run, runs: Runs = None, json: Json = False) -> None:
    """Take a run out of the queue.

    A waiting one is dropped, a running one stops, saved. Its folder stays: `nanoconsole resume` can go on with it.
    """
    from nanocore.runs import queue

    root = _awake(runs)
    state = queue.cancel(root, run)
    if json:
        return emit({"run": run, "was": state})
    return say(f"{run}: {'asked to stop' if state == 'running' else 'taken out of the queue'}")


def set_options(
    run: Run,
    slots: Annotated[int | None, typer.Option("--slots", min=1, max=64, help="Runs at a time while it works.")] = None,
    stop_on_failure: Annotated[
        bool | None, typer.Option("--stop-on-failure/--go-on", help="When it fails: start no other, or go on.")
    ] = None,
    restarts: Annotated[
        int | None, typer.Option("--restarts", min=0, max=1000, help="Starts again after a crash or a kill.")
    ] = None,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Change a queued run: its slots, failures and restarts."""
    from nanocore.runs import queue

    root = _awake(runs)
    entry = queue.set_options(root, run, slots=slots, stop_on_failure=stop_on_failure, restarts=restarts)
    if json:
        return emit(_facts(entry))
    return say(
        f"{run}: slots {entry.slots}, {'halts the queue' if entry.stop_on_failure else 'the queue goes on'} when it fails, "
        f"started again at most {entry.restarts} times"
    )


def halt(runs: Runs = None, json: Json = False) -> None:
    """Start no other run until `queue start`; what works goes on."""
    from nanocore.runs import queue
    from nanocore.runs.layout import run_root

    root = run_root(runs)
    queue.halt(root)
    found = queue.read_queue(root)
    if json:
        return emit({"halted": found.halted, "pending": len(found.pending())})
    return say(f"halted: {found.halted}; go on with: {to_type('queue start')}")


def start(runs: Runs = None, json: Json = False) -> None:
    """Let a halted queue go on."""
    from nanocore.runs import queue
    from nanocore.runs.layout import run_root

    root = run_root(runs)
    queue.start(root)
    started = queue.wake(root)
    pending = queue.read_queue(root).pending()
    if json:
        return emit({"started": started, "pending": len(pending)})
    return say(f"{len(pending)} runs waiting or running")


def _awake(runs: Path | None) -> Path:
    """The run root, its supervisor started again if it died with work left."""
    from nanocore.runs.layout import run_root
    from nanocore.runs.queue import wake

    root = run_root(runs)
    wake(root)
    return root


def _facts(entry: Entry) -> dict[str, Any]:
    import msgspec

    return msgspec.to_builtins(entry)


def _rows(entries: list[Entry], stalls: list[str], holds: list[str]) -> list[tuple[Any, ...]]:
    from nanoconsole.services import format

    rows, place, now = [], 0, time.time()
    for entry, stall, hold in zip(entries, stalls, holds, strict=True):
        place += entry.state == "waiting"
        since = format.age(entry.ended or entry.added or None, now)
        shown = place if entry.state == "waiting" else None
        state = "held" if hold else entry.state
        rows.append((entry.run, state, shown, entry.slots, entry.experiment, since, hold or entry.reason or stall))
    return rows
