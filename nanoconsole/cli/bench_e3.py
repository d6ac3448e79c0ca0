"""`nanoconsole bench e3`: all efficiency techniques against a baseline, by the experiment that comes with the program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nanoconsole.cli import complete
from nanoconsole.cli.experiment import Asked, command, pursue
from nanoconsole.cli.options import Set, examples

Quick = Annotated[
    bool, typer.Option("--quick", help="One seed, 150 steps, equal steps alone: what it costs, no verdicts.")
]
Preset = Annotated[str, typer.Option("--preset", metavar="NAME", help="The model that is trained, a preset or a .toml file [tiny-cpu].", autocompletion=complete.presets)]  # fmt: skip
Only = Annotated[
    list[str] | None, typer.Option("--only", metavar="VARIANT", help="This variant; may be repeated [all].")
]
Steps = Annotated[
    int | None, typer.Option("--steps", min=10, max=10**9, help="Steps of each run at equal steps [270].")
]
Seeds = Annotated[
    list[int] | None, typer.Option("--seed", min=0, max=2**31 - 1, help="A seed; may be repeated [1, 2 and 3].")
]
Name = Annotated[str, typer.Option("--name", help="Of the experiment, before the names of its runs.")]


def register(group: typer.Typer) -> None:
    lines = ("bench e3 --quick", "bench e3 --out e3-report", "bench e3 --continue --out e3-report",
             "bench e3 --preset nano-125m --steps 2000 --slots 1 --only mtp --only galore")  # fmt: skip
    group.command("e3", epilog=examples(*lines))(command(e3))


def e3(
    context: typer.Context,
    quick: Quick = False,
    preset: Preset = "",
    only: Only = None,
    steps: Steps = None,
    seeds: Seeds = None,
    sets: Set = None,
    name: Name = "",
    *,
    asked: Asked,
) -> None:
    """Compare the efficiency techniques with a baseline.

    Multi-token prediction, Collider, 8-bit Muon, GaLore, the loader, all together; AdamW and a float twin as references,
    and a deliberately bad one, which must lose. An experiment as `nanoconsole compare` makes it: ordinary runs, paired by seed.
    The claims of others stand beside what is measured. docs/benchmarks.md explains every column.
    """
    from nanocore.compare.e3 import e3 as experiment

    spec = experiment(
        preset=_target(preset),
        steps=steps or 0,
        seeds=seeds or (),
        sets=sets or (),
        only=only or (),
        name=name,
        quick=quick,
    )
    pursue(context, "bench e3", spec, asked)


def _target(preset: str) -> str:
    """A path as it is from anywhere."""
    return str(Path(preset).expanduser().absolute()) if preset.endswith(".toml") or "/" in preset else preset
