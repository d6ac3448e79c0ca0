"""`nanoconsole config switches` and `save`: what the editor shows and writes, without the editor."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nanoconsole.cli.options import Json, Runs, Set, Target, examples
from nanoconsole.cli.output import emit, say, table, tell

if TYPE_CHECKING:
    from nanoconsole.services.draft import Draft

As = Annotated[
    str, typer.Argument(metavar="NAME|FILE", help="An own preset's name or a new file; without, TARGET itself.")
]
About = Annotated[str, typer.Option("--about", metavar="TEXT", help="Description of the preset.")]

LEGEND = (
    "\nadds: parameters; tensors in memory at the peak; arithmetic of a token (%), what is computed twice included, or "
    'time where a finished run tells it. What changes less than 0.05 % is left out. "slower": an '
    "emulation, whose own work is not counted; docs/techniques.md has it measured."
)


def register(group: typer.Typer) -> None:
    lines = ("config switches tiny-cpu", "config switches tiny-cpu --set moe.experts=4 --json")
    group.command("switches", epilog=examples(*lines))(switches)
    lines = ("config save tiny-cpu mine --set mhc.streams=4", "config save my.toml --set training.steps=900")
    group.command("save", epilog=examples(*lines))(save)


def switches(target: Target, set: Set = None, runs: Runs = None, json: Json = False) -> None:
    """Tell what each technique's switch would change.

    For each the next value, and the parameters, memory and arithmetic, or time where a run tells it, that it adds.
    """
    from nanoconsole.services.cost import read_timings
    from nanoconsole.services.switches import brief, deltas
    from nanocore.runs.layout import run_root

    root = run_root(runs)
    draft = _draft(target, root, set or [])
    found = deltas(draft, read_timings(root))
    if json:
        return emit([{"key": key, "now": draft.text(key), **asdict(delta)} for key, delta in found.items()])
    rows = [
        (key, draft.text(key), delta.value, "  ".join(text for text, _ in brief(delta))) for key, delta in found.items()
    ]
    table(("switch", "now", "next", "adds"), rows)
    return tell(LEGEND) if rows else None


def save(
    target: Target, name: As = "", set: Set = None, about: About = "", runs: Runs = None, json: Json = False
) -> None:
    """Save a configuration with changes, comments kept.

    As a preset of yours, as a new file where the name is a path, or in the file itself where no name is given.
    """
    from nanoconsole.services import saving
    from nanocore.errors import UsageError
    from nanocore.runs.layout import run_root

    draft = _draft(target, run_root(runs), set or [])
    if name:
        proposed = saving.proposal(draft)[1]
        path = saving.save_as(draft, name, about or proposed)
    elif draft.is_file:
        draft.save()
        path = draft.path
    else:
        raise UsageError("only a file is saved in place", where=target, fix="name a preset of your own or a new file")
    return emit({"path": str(path)}) if json else say(f"saved {path}")


def _draft(target: str, root: Path, sets: list[str]) -> Draft:
    """A target with overrides, to be edited. Raises ConfigError for faults."""
    from nanoconsole.cli.target import configuration, source
    from nanoconsole.services.draft import Draft
    from nanocore.config.overrides import parse

    configuration(target, root, sets)  # its faults, with the place of each
    draft = Draft(source(target, root))
    draft.put(dict(parse(each) for each in sets))
    return draft
