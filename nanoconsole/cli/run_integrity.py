"""`nanoconsole runs verify` and `repair`: whether everything in a run is what was written, and what to do where it is not."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from nanoconsole.cli import complete
from nanoconsole.cli.options import Json, Run, Runs, examples
from nanoconsole.cli.output import emit, say, table

if TYPE_CHECKING:
    from nanocore.runs.integrity import Finding

Some = Annotated[list[str] | None, typer.Argument(metavar="RUN", help="Names of runs; without one all are verified.", autocompletion=complete.runs)]  # fmt: skip
Dry = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


def register(group: typer.Typer) -> None:
    verifying = ("runs verify", "runs verify tiny-cpu-0001", "runs verify --json | jq '.findings[] | select(.state == \"broken\")'")  # fmt: skip
    group.command("verify", epilog=examples(*verifying))(verify)
    group.command("repair", epilog=examples("runs repair tiny-cpu-0001 --dry-run", "runs repair tiny-cpu-0001"))(repair)


def verify(names: Some = None, runs: Runs = None, json: Json = False) -> None:
    """Read everything in runs and hold it against what was written.

    Configuration, status and notes, every line of the records, and size and hash of every file of the checkpoints and exports.
    Nothing is changed. Exit code 5 when something is broken, also a folder that has the name of a run and no run.json.
    What no hash is recorded of is called unverified; torn or lost records, what a killed process left, and that a run has
    no checkpoint left are notes.
    """
    from nanocore.errors import CheckpointError
    from nanocore.runs.hints import to_type
    from nanocore.runs.integrity import verify_run
    from nanocore.runs.layout import list_runs, run_root
    from nanocore.runs.orphans import find_folder, orphans

    root = run_root(runs)
    every = [find_folder(root, name) for name in dict.fromkeys(names or ())]
    chosen = every or [*list_runs(root), *orphans(root)]
    found = [finding for run in chosen for finding in verify_run(run)]
    broken = [finding for finding in found if finding.state == "broken"]
    if json:
        emit({"runs": len(chosen), "broken": len(broken), "findings": [asdict(finding) for finding in found]})
    elif chosen:
        _show(found, every=bool(names))
    else:
        say(f"no runs in {root}")
    if broken:
        what, first = f"{len(broken)} of {len(found)} parts are broken", broken[0].run
        raise CheckpointError(what, where=str(root), fix=f"see {to_type(f'runs repair {first} --dry-run')}")


def repair(run: Run, dry: Dry = False, runs: Runs = None, json: Json = False) -> None:
    """Put a run in order that nobody works on.

    Broken checkpoints and exports move to the trash, from where `runs restore` brings them back; what killed processes left
    is removed; a damaged or missing status is written anew from the records. Nothing that is good is touched. What it
    cannot mend is told, also that no checkpoint is left: such a run is not resumed. A run at work is refused (75).
    """
    from nanocore.runs.layout import run_root
    from nanocore.runs.orphans import find_folder
    from nanocore.runs.repair import repair as put_in_order

    root = run_root(runs)
    actions = put_in_order(root, find_folder(root, run), dry=dry)
    if json:
        return emit({"run": run, "dry_run": dry, "actions": [asdict(action) for action in actions]})
    if not actions:
        return say(f"{run}: nothing to repair")
    return table(("PART", "WOULD BE" if dry else "DONE", "WHY", ""), [list(asdict(each).values()) for each in actions])


def _show(found: list[Finding], *, every: bool) -> None:
    """Every part of runs that were named; of all runs what is not whole, and a line for each that is."""
    rows = [finding for finding in found if every or finding.state != "whole"]
    listed = [(each.run, each.part, each.state, each.detail) for each in rows]
    if not every:
        names, noted = dict.fromkeys(finding.run for finding in found), {finding.run for finding in rows}
        counts = {name: sum(finding.run == name for finding in found) for name in names}
        listed += [(name, f"{counts[name]} parts", "whole", "") for name in names if name not in noted]
    table(("RUN", "PART", "STATE", ""), sorted(listed))
