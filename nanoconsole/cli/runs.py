"""`nanoconsole runs`: what there is, everything about one run, and its removal."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from nanoconsole.cli.options import Json, Run, Runs, examples
from nanoconsole.cli.output import emit, say, table, tell
from nanocore.runs.hints import to_type

if TYPE_CHECKING:
    from pathlib import Path

    from nanoconsole.cli.view import RunView
    from nanocore.runs.layout import RunFolder
    from nanocore.runs.summary import Summary

LOG_LINES = 20


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="List the runs, show one, or delete one.", rich_markup_mode=None, no_args_is_help=True)
    group.command("list", epilog=examples("runs list", "runs list --json | jq '.[].name'"))(list_all)
    group.command("show", epilog=examples("runs show tiny-cpu-0001", "runs show tiny-cpu-0001 --json"))(show)
    group.command("delete", epilog=examples("runs delete tiny-cpu-0001"))(delete)
    app.add_typer(group, name="runs")


def list_all(runs: Runs = None, json: Json = False) -> None:
    """List the runs, the newest first.

    Each with its state and newest measures.
    """
    from nanocore.runs.layout import list_runs, run_root
    from nanocore.runs.summary import export_json, summarize

    root = run_root(runs)
    if json:
        return emit(sorted((export_json(run) for run in list_runs(root)), key=lambda facts: -facts["created"]))
    found = sorted((summarize(run) for run in list_runs(root)), key=lambda summary: -summary.created)
    if not found:
        return say(f"no runs in {root}; start one with: {to_type('train tiny-cpu')}")
    if _may_surprise(runs):
        say(f"runs in {root}")
    return table(("run", "state", "step", "loss", "bits/byte", "tok/s", "left", "started"), map(_row, found))


def show(run: Run, runs: Runs = None, json: Json = False) -> None:
    """Show one run.

    Its state, measures and checkpoints, its techniques and what they measured, and the end of its log when it went
    wrong.
    """
    from nanoconsole.cli.view import RunView
    from nanoconsole.services.run_facts import FactsReader
    from nanoconsole.services.techniques import numbers
    from nanocore.runs.layout import find_run, run_root
    from nanocore.runs.summary import export_json

    folder = find_run(run_root(runs), run)
    facts, more = export_json(folder), FactsReader(folder).read_whole()
    if json:
        return emit({**facts, "techniques": dict(more.techniques), "fired": [asdict(each) for each in more.fired]})
    problem = [("problem", facts["problem"])] if facts["problem"] else []
    view = RunView(folder)
    rows = [*_lines(facts), *_origin(folder), *more.lines(), ("folder", facts["path"]), *problem]
    table(("run", facts["name"]), [*rows, *numbers(view.measures.get)])
    if facts["state"] in ("crashed", "diverged"):
        _show_log(folder)
    return _show_sample(view)


def delete(run: Run, runs: Runs = None, json: Json = False) -> None:
    """Move an ended run to the trash.

    Nothing is erased: where it went is printed, and moving it back makes it a run again.
    """
    from nanocore.runs.layout import find_run, run_root
    from nanocore.runs.trash import discard

    root = run_root(runs)
    place = discard(root, find_run(root, run))
    if json:
        return emit({"run": run, "trash": str(place)})
    return tell(str(place))


def _may_surprise(chosen: Path | None) -> bool:
    """Whether a reader should be told the folder: it depends on where the command stands, as nobody named one."""
    return chosen is None and not os.environ.get("NANOCONSOLE_RUNS") and sys.stderr.isatty()


def _row(summary: Summary) -> tuple[Any, ...]:
    from nanoconsole.services import format

    steps = f"{summary.step}/{summary.steps}" if summary.steps else summary.step
    measures = (format.number(summary.loss), format.number(summary.bits_per_byte))
    speed, left = format.count(summary.tokens_per_second), format.duration(summary.eta)
    return (summary.name, summary.state, steps, *measures, speed, left, format.age(summary.created, time.time()))


def _lines(facts: dict[str, Any]) -> list[tuple[str, Any]]:
    """What `show` prints of a run's state and measures, a line each."""
    from nanoconsole.services import format
    from nanocore.runs.liveness import worded

    measured = {**facts, **facts.get("nonfinite", {})}
    return [
        ("state", worded(facts["state"], facts["message"])),
        ("preset", facts["preset"]),
        ("step", f"{facts['step']} of {facts['steps'] or 'unknown'}"),
        ("tokens", format.count(facts["tokens"])),
        ("loss", _measure(measured["loss"])),
        ("held-out bits/byte", _measure(measured["bits_per_byte"])),
        ("tokens per second", format.count(facts["tokens_per_second"])),
        ("time left", format.duration(facts["eta"])),
        ("checkpoints", ", ".join(facts["checkpoints"])),
        ("process", facts["pid"]),
    ]


def _origin(folder: RunFolder) -> list[tuple[str, Any]]:
    """What `show` prints of run.json, a line each."""
    from nanoconsole.services import format
    from nanocore.runs.facts import read_facts

    facts = read_facts(folder)
    parent, held_out = facts.parent, facts.heldout
    return [
        ("xz -9 of held-out text", format.number(held_out.xz_bits_per_byte if held_out else None)),
        ("parent", f"{parent.run}@{parent.step}, optimizer {parent.optimizer}" if parent else ""),
        ("parameters", format.count(facts.parameters)),
        ("machine", ", ".join(f"{key} {value}" for key, value in facts.machine.items())),
    ]


def _measure(value: float | str | None) -> str:
    from nanoconsole.services import format

    return value if isinstance(value, str) else format.number(value)


def _show_log(folder: RunFolder) -> None:
    from nanocore.runs.log import last_lines

    tell(f"\nthe end of {folder.log_file}:")
    for line in last_lines(folder.log_file, LOG_LINES):
        tell(f"  {line}")


def _show_sample(view: RunView) -> None:
    if view.sample:
        tell("\nlast sample:\n" + "\n".join(f"  | {line}" for line in view.sample))
