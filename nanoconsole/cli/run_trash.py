"""`nanoconsole runs delete`, `trash`, `restore`: runs are moved to the trash and back, never erased."""

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
        metavar="RUN...", help="Names of runs in the trash, or of their folders there.", autocompletion=complete.trash
    ),
]


def register(group: typer.Typer) -> None:
    group.command("delete", epilog=examples("runs delete tiny-cpu-0001 tiny-cpu-0002"))(delete)
    group.command("trash", epilog=examples("runs trash", "runs trash --json"))(trash)
    group.command("restore", epilog=examples("runs restore tiny-cpu-0001"))(restore)


def delete(names: Names, runs: Runs = None, json: Json = False) -> None:
    """Move ended runs to the trash.

    Nothing is erased: where each went is printed, and `nanoconsole runs restore` makes it a run again. A run at work
    stays.
    """
    from nanoconsole.services.batch import discard_all
    from nanocore.runs.layout import find_run, run_root

    root = run_root(runs)
    outcome = discard_all([find_run(root, name) for name in dict.fromkeys(names)])
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
    """List the deleted runs, the last deleted first."""
    from nanoconsole.services.format import age
    from nanocore.runs.layout import run_root
    from nanocore.runs.trash import discarded

    found = discarded(run_root(runs))
    if json:
        return emit([{"run": one.name, "deleted": one.deleted, "path": str(one.path)} for one in found])
    if not found:
        return say("the trash is empty")
    now = time.time()
    table(("run", "deleted", "folder"), [(one.name, age(one.deleted, now), one.path.name) for one in found])
    return say(f"bring one back: {to_type(f'runs restore {found[0].name}')}")


def restore(names: Deleted, runs: Runs = None, json: Json = False) -> None:
    """Make deleted runs runs again.

    Of several that had the same name the last deleted is taken; `runs trash` tells their folders, which may be named
    instead.
    """
    from nanoconsole.services.batch import restore_all
    from nanocore.runs.layout import run_root
    from nanocore.runs.trash import find_discarded

    root = run_root(runs)
    outcome = restore_all([find_discarded(root, name) for name in dict.fromkeys(names)])
    back = [run.name for run in outcome.done]
    if json:
        emit([{"run": run.name, "path": str(run.path)} for run in outcome.done])
    elif back:
        say(f"{', '.join(back)} {'is a run' if len(back) == 1 else 'are runs'} again")
    raise_first(outcome)
