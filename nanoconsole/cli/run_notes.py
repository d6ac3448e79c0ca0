"""`nanoconsole runs tag`, `note`, `archive`, `unarchive`: what a user keeps about runs, in their own folders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanoconsole.cli import complete
from nanoconsole.cli.options import Json, Run, Runs, examples
from nanoconsole.cli.output import emit, say, tell

if TYPE_CHECKING:
    from pathlib import Path

    from nanoconsole.services.batch import Outcome

Names = Annotated[list[str], typer.Argument(metavar="RUN...", help="Names of runs.", autocompletion=complete.runs)]
Add = Annotated[list[str] | None, typer.Option("--add", metavar="TAG", help="Add a tag; may be repeated.")]
Remove = Annotated[list[str] | None, typer.Option("--remove", metavar="TAG", help="Remove a tag; may be repeated.")]
Text = Annotated[str | None, typer.Argument(metavar="TEXT", help='The note; "" removes it. Without it the note is printed.')]  # fmt: skip


def register(group: typer.Typer) -> None:
    tags = ("runs tag tiny-cpu-0001 --add good --add sweep/1", "runs tag tiny-cpu-0001 tiny-cpu-0002 --remove good")
    group.command("tag", epilog=examples(*tags))(tag)
    group.command("note", epilog=examples("runs note tiny-cpu-0001 'lr too high'", "runs note tiny-cpu-0001"))(note)
    group.command("archive", epilog=examples("runs archive tiny-cpu-0001", "runs list --archived"))(archive)
    group.command("unarchive", epilog=examples("runs unarchive tiny-cpu-0001"))(unarchive)


def tag(names: Names, add: Add = None, remove: Remove = None, runs: Runs = None, json: Json = False) -> None:
    """Change the tags of runs, or print them.

    Tags are kept in notes.toml of each run's folder.
    """
    _show(_change(names, runs, add=add or (), remove=remove or ()), json)


def note(run: Run, text: Text = None, runs: Runs = None, json: Json = False) -> None:
    """Write a note about a run, or print it."""
    _show(_change([run], runs, note=text), json)


def archive(names: Names, runs: Runs = None, json: Json = False) -> None:
    """Leave runs out of lists; they stay where they are, and whole."""
    _show(_change(names, runs, archived=True), json)


def unarchive(names: Names, runs: Runs = None, json: Json = False) -> None:
    """Show archived runs in lists again."""
    _show(_change(names, runs, archived=False), json, "in the list again")


def _change(names: list[str], runs: Path | None, **changes: Any) -> Outcome:
    from nanoconsole.services.batch import note_all
    from nanocore.runs.layout import find_run, run_root

    root = run_root(runs)
    return note_all([find_run(root, name) for name in dict.fromkeys(names)], **changes)


def _show(outcome: Outcome, json: bool, done: str = "") -> None:
    """Print the notes of the runs as they are now, behind what was `done`. Raises the first error."""
    facts = [
        {"run": run.name, "tags": list(notes.tags), "note": notes.note, "archived": notes.archived}
        for run, notes in outcome.done.items()
    ]
    if json:
        emit(facts)
    else:
        for fact in facts:
            words = [
                *([f"{done};" if fact["tags"] or fact["note"] else done] if done else []),
                *(["archived"] if fact["archived"] else []),
                *fact["tags"],
                *([fact["note"]] if fact["note"] else []),
            ]
            tell(f"{fact['run']}: {' '.join(words) or 'no tags, no note'}")
    raise_first(outcome)


def raise_first(outcome: Outcome) -> None:
    """Say every error but the first on stderr, and raise that one, so that the command ends with its exit code."""
    errors = list(outcome.failed.values())
    for error in errors[1:]:
        say(f"nanoconsole: {error}")
    if errors:
        raise errors[0]
