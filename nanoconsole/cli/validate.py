"""`nanoconsole validate`: proof on this machine that the parts compute what they should; a worker process computes."""

from __future__ import annotations

import difflib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nanoconsole.cli.options import Json, examples
from nanoconsole.cli.output import emit, say

if TYPE_CHECKING:
    from nanoconsole.services.validation import Validation


def names() -> list[str]:
    """For the completion of --only."""
    from nanocore.validation.catalog import NAMES

    return list(NAMES)


Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="CHECK", help="Run this check; may be repeated.", autocompletion=names),
]
Full = Annotated[
    bool,
    typer.Option(
        "--full", help="Larger shapes, longer training, every preset built, and a GPU's kernels. Takes minutes."
    ),
]
Keep = Annotated[
    Path | None,
    typer.Option(
        "--keep", metavar="DIR", help="Make the runs in this new or empty folder, and leave them there for --runs DIR."
    ),
]


def register(app: typer.Typer) -> None:
    lines = ("validate", "validate --only kernels --only export", "validate --full", "validate --keep checked --json")
    app.command("validate", epilog=examples(*lines))(validate)


def validate(only: Only = None, full: Full = False, keep: Keep = None, json: Json = False) -> None:
    """Prove that the whole pipeline works on this machine.

    It trains, resumes, exports, loads and generates for real, on tiny models. Each check computes something and compares
    it. Exit code 0 when all that ran hold, 3 when one does not: what was observed, what was expected and where to look
    stand below it. A check that cannot run here is told as "not run", with the reason, and never counts as passed. Ctrl-C
    ends it with exit code 130.
    """
    from nanoconsole.cli.checklist import choose
    from nanoconsole.services.validation import Order, Validator
    from nanocore.errors import UsageError
    from nanocore.validation.catalog import NAMES

    if unknown := [name for name in only or () if name not in NAMES]:
        near = difflib.get_close_matches(unknown[0], NAMES, 1)
        fix = f"did you mean {near[0]}?" if near else f"there are {', '.join(NAMES)}"
        raise UsageError(f"no check named {unknown[0]!r}", where="--only", fix=fix)
    began = time.monotonic()
    with choose(as_json=json) as checklist:
        validator = Validator(checklist.show)
        try:
            found = validator.run(Order(tuple(only or ()), full, keep))
        except KeyboardInterrupt:
            found = validator.now.halted()
        finally:
            validator.stop()
    seconds = time.monotonic() - began
    if found.stopped:
        say(f"stopped by Ctrl-C: {summary(found, seconds)}")
    elif json:
        emit({**found.document(), "seconds": round(seconds, 2)})
    else:
        say(summary(found, seconds))
    raise typer.Exit(found.exit_code or 0)


def summary(found: Validation, seconds: float) -> str:
    """`32 passed, 0 failed, 1 not run in 21.4 s`, and what ended it before its time."""
    counts = ", ".join(f"{found.count(state)} {state}" for state in ("passed", "failed", "not run"))
    return f"{counts} in {seconds:.1f} s{f'; {found.problem}' if found.problem else ''}"
