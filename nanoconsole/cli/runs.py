"""`nanoconsole runs`: what there is, and everything about one run."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanoconsole.cli import run_archive, run_compare, run_integrity, run_notes, run_trash
from nanoconsole.cli.options import Json, Run, Runs, examples
from nanoconsole.cli.output import emit, say, table, tell
from nanocore.runs.hints import to_type

if TYPE_CHECKING:
    from pathlib import Path

    from nanoconsole.cli.view import RunView
    from nanoconsole.services.listed import Listed
    from nanocore.runs.layout import RunFolder

LOG_LINES = 20


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="List, show, note, compare, verify, move and delete runs.",
        rich_markup_mode=None,
        no_args_is_help=True,
    )
    lines = ("runs list", "runs list --filter 'lr>1e-3 !tag:bad' --sort bpb", "runs list --json | jq '.[].name'")
    group.command("list", epilog=examples(*lines))(list_all)
    group.command("show", epilog=examples("runs show tiny-cpu-0001", "runs show tiny-cpu-0001 --json"))(show)
    run_trash.register(group)
    run_notes.register(group)
    run_compare.register(group)
    run_integrity.register(group)
    run_archive.register(group)
    app.add_typer(group, name="runs")


Condition = Annotated[str, typer.Option("--filter", metavar="FILTER", help="Only runs that fit, as 'loss<2 tag:good OR preset:tiny*'; see docs/console.md.")]  # fmt: skip
Sort = Annotated[str, typer.Option("--sort", metavar="KEY", help="A field, metric or configuration key; without a value last.")]  # fmt: skip
Reverse = Annotated[bool, typer.Option("--reverse", help="The other way round.")]
Archived = Annotated[bool, typer.Option("--archived", help="Archived runs too.")]


def list_all(
    condition: Condition = "",
    sort: Sort = "created",
    reverse: Reverse = False,
    archived: Archived = False,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """List the runs, the newest first.

    Each with its state and newest measures. Archived runs are left out unless asked for.
    """
    from nanocore.runs.layout import run_root

    root = run_root(runs)
    found, hidden = _found(root, condition, sort, reverse, archived)
    _tell_orphans(root)
    if json:
        return emit(list(map(_document, found)))
    if not found:
        return say(_none(root, condition, 0 if archived else hidden))
    if _may_surprise(runs):
        say(f"runs in {root}")
    table(("run", "state", "step", "loss", "bits/byte", "tok/s", "left", "started", "tags"), map(_row, found))
    return say(f"{hidden} archived; see them with --archived") if hidden and not archived else None


def _tell_orphans(root: Path) -> None:
    from nanocore.runs.orphans import orphans

    if names := [run.name for run in orphans(root)]:
        say(f"not listed, for there is no run.json: {', '.join(names)}; see {to_type('runs verify')}")


def _found(root: Path, condition: str, sort: str, reverse: bool, archived: bool) -> tuple[list[Listed], int]:
    """The runs that are listed, in order, and how many are archived."""
    from nanoconsole.services.alert_log import AlertLog
    from nanoconsole.services.arrange import Arrangement, sort_key
    from nanoconsole.services.filter import parse
    from nanoconsole.services.run_fields import Context, alert_counts
    from nanoconsole.services.run_index import read_list, with_configs

    listed = read_list(root)
    measures = {name for run in listed for name in run.measures}
    wanted, key = parse(condition, measures), sort_key(sort, measures)
    if wanted.config or key.config:
        listed = with_configs(listed)
    order = Arrangement(wanted, sort, reverse, archived)
    context = Context(time.time(), alert_counts(AlertLog(root).read().alerts))
    return order.arranged(listed, context), sum(run.notes.archived for run in listed)


def _document(listed: Listed) -> dict[str, Any]:
    """A run as `runs show --json` has it, from what was read for the list; one at work is looked at anew."""
    from nanocore.runs.summary import document, export_json

    if listed.summary.alive:
        return export_json(listed.run)
    return document(listed.run, listed.summary, listed.notes, None)


def _none(root: Path, condition: str, hidden: int) -> str:
    if hidden:
        return f"no run in {root} fits; {hidden} archived; see them with --archived"
    return f"no run in {root} fits {condition}" if condition else f"no runs in {root}; start one with: {to_type('train tiny-cpu')}"  # fmt: skip


def show(run: Run, runs: Runs = None, json: Json = False) -> None:
    """Show one run.

    Its state, measures and checkpoints, its techniques and what they measured, and the end of its log when it went
    wrong.
    """
    from nanoconsole.cli.view import RunView
    from nanoconsole.services.run_facts import FactsReader
    from nanoconsole.services.techniques import numbers
    from nanocore.runs.layout import find_run, run_root
    from nanocore.runs.status import FAILED_STATES
    from nanocore.runs.summary import export_json

    folder = find_run(run_root(runs), run)
    facts, more = export_json(folder), FactsReader(folder).read_whole()
    if json:
        return emit({**facts, "techniques": dict(more.techniques), "fired": [asdict(each) for each in more.fired]})
    problem = [("problem", facts["problem"])] if facts["problem"] else []
    view = RunView(folder)
    rows = [*_lines(facts), *_origin(folder), *more.lines(), ("folder", facts["path"]), *problem]
    table(("run", facts["name"]), [*rows, *numbers(view.measures.get)])
    if facts["state"] in FAILED_STATES:
        _show_log(folder)
    return _show_sample(view)


def _may_surprise(chosen: Path | None) -> bool:
    """Whether a reader should be told the folder: it depends on where the command stands, as nobody named one."""
    return chosen is None and not os.environ.get("NANOCONSOLE_RUNS") and sys.stderr.isatty()


def _row(listed: Listed) -> tuple[Any, ...]:
    from nanoconsole.services import format

    summary = listed.summary
    steps = f"{summary.step}/{summary.steps}" if summary.steps else summary.step
    measures = (format.number(summary.loss), format.number(summary.bits_per_byte))
    speed, left = format.count(summary.tokens_per_second), format.duration(summary.eta)
    tags = " ".join([*(["archived"] if listed.notes.archived else []), *listed.notes.tags])
    age = format.age(summary.created or None, time.time())
    return (summary.name, summary.state, steps, *measures, speed, left, age, tags)


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
