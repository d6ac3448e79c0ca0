"""`nanoconsole compare`: variants of a configuration against each other, over seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nanoconsole.cli.experiment import Asked, command, pursue
from nanoconsole.cli.options import examples

File = Annotated[Path, typer.Argument(metavar="SPEC.toml", help="What is compared; see docs/comparisons.md.")]


def register(app: typer.Typer) -> None:
    lines = ("compare mtp.toml", "compare mtp.toml --continue", "compare mtp.toml --report-only --out mtp")
    app.command("compare", epilog=examples(*lines))(command(compare))


def compare(context: typer.Context, file: File, *, asked: Asked) -> None:
    """Compare variants with a baseline, paired by seed.

    The same data, steps and seeds, and if asked the same training time. The runs are ordinary runs in the queue, which goes on without this command; Ctrl-C ends only the watching. The
    report goes to stdout. Exit code 4 when a run diverged, 1 when one has no result for another reason.
    """
    from nanocore.compare.spec import read

    pursue(context, f"compare {file}", read(file), asked)
