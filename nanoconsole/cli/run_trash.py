"""`nanoconsole runs delete`, `trash`, `restore`: runs, and what repairs put away, go to the trash and back."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from nanoconsole.cli import complete
from nanoconsole.cli.options import Json, Runs, examples
from nanoconsole.cli.output import emit, say, table, tell
from nanoconsole.cli.run_notes import Names, raise_first
from nanocore.runs.hints import to_type

Deleted = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME...", help="Names as runs trash lists them, or of folders there.", autocompletion=complete.trash
    ),
]


def register(group: typer.Typer) -> None:
    group.command("delete", epilog=examples("runs delete tiny-cpu-0001 tiny-cpu-0002"))(delete)
    group.command("trash", epilog=examples("runs trash", "runs trash --json"))(trash)
    group.command("restore", epilog=examples("runs restore tiny-cpu-0001"))(restore)


def delete(names: Names, runs: Runs = None, json: Json = False) -> None:
    """Move ended runs to the trash.

    Nothing is erased: where each went is printed, and `nanoconsole runs restore` makes it a run again. A run at work
    stays. The folder of a run that has lost its run.json goes too, which frees its name.
    """
    from nanoconsole.services.batch import discard_all
    from nanocore.runs.layout import run_root
    from nanocore.runs.orphans import find_folder

    root = run_root(runs)
    outcome = discard_all([find_folder(root, name) for name in dict.fromkeys(names)])
    moved = {run.name: str(place) for run, place in outcome.done.items()}
    if json and len(names) == 1 and moved:
        emit({"run": names[0], "trash": moved[names[0]]})
    elif json:
        emit([{"run": name, "trash": place} for name, place in moved.items()])
    else:
        for place in moved.values():
            tell(place)
    raise_first(outcome)


def trash(runs: Runs = None, json: Json = False) -> None:
    """List deleted runs and what repairs put away.

    The last comes first. A part of a run is called by its path, as RUN/checkpoints/step-00000100.
    """
    from nanoconsole.services.format import age
    from nanocore.runs.layout import run_root
    from nanocore.runs.trash import discarded

    found = discarded(run_root(runs))
    if json:
        return emit(
            [{"run": one.run, "part": one.part, "deleted": one.deleted, "path": str(one.path)} for one in found]
        )
    if not found:
        return say("the trash is empty")
    now = time.time()
    table(("name", "deleted", "folder"), [(one.name, age(one.deleted, now), one.path.name) for one in found])
    return say(f"bring one back: {to_type(f'runs restore {found[0].name}')}")


def restore(names: Deleted, runs: Runs = None, json: Json = False) -> None:
    """Bring back deleted runs and parts of runs.

    Of several that had the same name the last is taken; `runs trash` tells their folders, which may be named instead.
    A part, such as RUN/checkpoints/step-00000100, goes back to its run, as damaged as it was when a repair put it away.
    """
    from nanoconsole.services.batch import restore_all
    from nanocore.runs.layout import run_root
    from nanocore.runs.trash import find_discarded

    root = run_root(runs)
    outcome = restore_all([find_discarded(root, name) for name in dict.fromkeys(names)])
    if json:
        emit([{"run": run.name, "path": str(back.path)} for back, run in outcome.done.items()])
    else:
        _say_restored([str(back.path.relative_to(root)) for back in outcome.done])
    raise_first(outcome)


def _say_restored(names: list[str]) -> None:
    runs, parts = [name for name in names if "/" not in name], [name for name in names if "/" in name]
    if runs:
        say(f"{', '.join(runs)} {'is a run' if len(runs) == 1 else 'are runs'} again")
    if parts:
        say(f"{', '.join(parts)} {'is' if len(parts) == 1 else 'are'} back")
