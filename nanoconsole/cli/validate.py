"""`nanoconsole validate`: proof on this machine that the parts compute what they should; a worker process computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nanoconsole.cli.options import Json, examples
from nanoconsole.cli.output import emit, say, tell

if TYPE_CHECKING:
    from nanoconsole.services.validation import Check, Validation

MARKS = {"passed": "✓", "failed": "✗", "not run": "–", "waiting": " ", "running": " "}


def names() -> list[str]:
    """For the completion of --only."""
    from nanocore.validation.catalog import NAMES

    return list(NAMES)


Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="CHECK", help="Run this check; may be repeated.", autocompletion=names),
]


def register(app: typer.Typer) -> None:
    lines = ("validate", "validate --only kernels", "validate --json")
    app.command("validate", epilog=examples(*lines))(validate)


def validate(only: Only = None, json: Json = False) -> None:
    """Prove that the parts work on this machine.

    Each check computes something for real and compares it. Exit code 0 when all that ran hold, 3 when one does not; what
    was observed, what was expected and where to look stand below it. A check that cannot run here is told as "not run".
    """
    from nanoconsole.services.validation import Validator
    from nanocore.errors import UsageError
    from nanocore.validation.catalog import NAMES

    if unknown := [name for name in only or () if name not in NAMES]:
        raise UsageError(f"no check named {unknown[0]!r}", where="--only", fix=f"there are {', '.join(NAMES)}")
    told: set[str] = set()

    def show(now: Validation) -> None:
        for check in now.checks:
            if check.state in ("passed", "failed", "not run") and check.name not in told:
                told.add(check.name)
                for line in lines_of(check):
                    tell(line)

    validator = Validator((lambda _: None) if json else show)
    try:
        found = validator.run(tuple(only or ()))
    finally:
        validator.stop()
    emit(found.document()) if json else say(summary(found))
    raise typer.Exit(found.exit_code or 0)


def lines_of(check: Check) -> list[str]:
    """A check in words: one line, and below it what was found or what is wrong."""
    lines = [f"{MARKS[check.state]} {check.name:<12} {check.state:<7} {check.seconds:6.2f} s  {check.figure}".rstrip()]
    if check.state == "failed":
        lines += [f"    observed  {check.observed}", f"    expected  {check.expected}", f"    look at   {check.where}"]
    elif check.meaning:
        lines.append(f"    {check.meaning}")
    return lines


def summary(found: Validation) -> str:
    """`4 passed, 0 failed, 0 not run`, and what ended it before its time."""
    counts = ", ".join(f"{found.count(state)} {state}" for state in ("passed", "failed", "not run"))
    return f"{counts}{f'; {found.problem}' if found.problem else ''}"
