"""The options and arguments that several verbs share, each defined once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nanoconsole.cli import complete


def inherit_runs(context: typer.Context, value: Path | None) -> Path | None:
    """`nanoconsole --runs DIR verb` is the same as `nanoconsole verb --runs DIR`."""
    return value or context.find_root().params.get("runs")


def examples(*lines: str) -> str:
    """The examples at the end of a verb's help. The \\b keeps the help writer from joining the lines."""
    return "\b\n" + "\n".join(["Examples:", *(f"  $ nanoconsole {line}" for line in lines)])


Runs = Annotated[
    Path | None,
    typer.Option(
        "--runs",
        metavar="DIR",
        callback=inherit_runs,
        help="Folder of runs; else $NANOCONSOLE_RUNS, ./runs if it exists, the user's data folder.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print data as JSON on stdout; talk stays on stderr.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one key, as training.steps=200; may be repeated."),
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="Name of a run.", autocompletion=complete.runs)]
Preset = Annotated[str, typer.Argument(metavar="NAME", help="Name of a preset.", autocompletion=complete.presets)]
Target = Annotated[
    str,
    typer.Argument(metavar="TARGET", help="A preset, a .toml file or a run.", autocompletion=complete.targets),
]
Board = Annotated[
    bool | None,
    typer.Option(
        "--tensorboard/--no-tensorboard",
        help="Open TensorBoard beside it while it trains; else, of a followed run, as the setting says.",
    ),
]
