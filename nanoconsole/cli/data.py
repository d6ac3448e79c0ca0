"""`nanoconsole data`: make the tokens a configuration trains on, and look at them. A worker process does the work."""

from __future__ import annotations

import sys
from typing import Any

import typer

from nanoconsole.cli.options import Json, Runs, Set, Target, examples
from nanoconsole.cli.output import emit, say, table, tell


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Prepare or inspect the text of a configuration.", rich_markup_mode=None, no_args_is_help=True
    )
    group.command("prepare", epilog=examples("data prepare tiny-cpu", "data prepare my.toml --json"))(prepare)
    group.command("inspect", epilog=examples("data inspect tiny-cpu", "data inspect tiny-cpu-0001"))(inspect)
    app.add_typer(group, name="data")


def prepare(target: Target, set: Set = None, runs: Runs = None, json: Json = False) -> None:
    """Tokenize the text of a configuration.

    The tokens go into the cache. Training does it by itself when this was not done.
    """
    _show(_job("data-prepare", target, set, runs), json)


def inspect(target: Target, set: Set = None, runs: Runs = None, json: Json = False) -> None:
    """Show what a configuration trains on.

    The text in numbers, what xz makes of it, and the start of a training row.
    """
    facts = _job("data-inspect", target, set, runs)
    row = facts["row"] if json else facts.pop("row")
    _show(facts, json)
    if not json:
        tell("\nthe first training row:\n" + "\n".join(f"  | {line}" for line in row.split("\n")))


def _job(verb: str, target: str, sets: list[str] | None, runs: Any) -> dict[str, Any]:
    from nanoconsole.cli.model import answers
    from nanoconsole.cli.target import configuration
    from nanocore.runs.layout import run_root

    config = configuration(target, run_root(runs), sets or ())
    progress = _Progress()
    try:
        done = answers({"verb": verb, "config": config.model_dump(mode="json")}, progress)
    finally:
        progress.end()
    return {key: value for key, value in done.items() if key != "kind"}


class _Progress:
    """Tells each phase and how far it is: in one line that changes on a terminal, else a line when it begins."""

    def __init__(self) -> None:
        self._phase, self._redraws = "", sys.stderr.isatty()

    def __call__(self, answer: dict[str, Any]) -> None:
        if answer["kind"] != "progress":
            return
        begins, self._phase = answer["phase"] != self._phase, answer["phase"]
        if self._redraws:
            percent = 100 * answer["done"] // max(answer["total"], 1)
            print(f"{chr(10) if begins else chr(13)}{self._phase}: {percent:3} %", end="", file=sys.stderr, flush=True)
        elif begins:
            say(self._phase)

    def end(self) -> None:
        if self._redraws and self._phase:
            print(file=sys.stderr)


def _show(facts: dict[str, Any], json: bool) -> None:
    if json:
        return emit(facts)
    sources, skipped = facts.pop("sources"), facts.pop("skipped")
    table(("text", "value"), [(key.replace("_", " "), _readable(key, value)) for key, value in facts.items()])
    tell("")
    table(list(sources[0]), [[_readable(key, value) for key, value in source.items()] for source in sources])
    for reason in skipped:
        say(f"skipped {reason}")
    return None


def _readable(key: str, value: Any) -> Any:
    """Bytes and tokens in three digits; with --json they are exact."""
    from nanoconsole.services.format import count, size

    return size(value) if key.endswith("bytes") else count(value) if key.endswith("tokens") else value
