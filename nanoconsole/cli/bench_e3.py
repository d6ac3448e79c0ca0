"""`nanoconsole bench e3`: all efficiency techniques against a baseline, by the experiment that comes with the program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nanoconsole.cli import complete
from nanoconsole.cli.experiment import Asked, command, pursue
from nanoconsole.cli.options import Set, examples
from nanoconsole.cli.output import say
from nanocore.errors import UsageError

if TYPE_CHECKING:
    from nanocore.compare.spec import Spec

SECONDS = 250  # of training a run: 240 and what a machine's moods take

Quick = Annotated[
    bool, typer.Option("--quick", help="One seed, 150 steps, equal steps alone: what it costs, no verdicts.")
]
Preset = Annotated[str, typer.Option("--preset", metavar="NAME", help="The model that is trained, a preset or a .toml file [tiny-cpu].", autocompletion=complete.presets)]  # fmt: skip
Only = Annotated[
    list[str] | None, typer.Option("--only", metavar="VARIANT", help="This variant; may be repeated [all].")
]
Steps = Annotated[
    int | None,
    typer.Option("--steps", min=10, max=10**9, help="Steps of each run at equal steps [as many as --seconds]."),
]
Seconds = Annotated[int | None, typer.Option("--seconds", min=1, max=10**7, help=f"Training of each run; what that is in steps is measured first, unless runs are there [{SECONDS}].")]  # fmt: skip
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
    seconds: Seconds = None,
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

    if seconds is not None and (quick or steps is not None):
        raise UsageError(
            f"--seconds and {'--quick' if quick else '--steps'} exclude each other", fix="give one of them"
        )

    def spec(steps: int) -> Spec:
        return experiment(
            preset=_target(preset),
            steps=steps,
            seeds=seeds or (),
            sets=sets or (),
            only=only or (),
            name=name,
            quick=quick,
        )

    known = steps or (0 if quick else _measured(spec(0), asked, seconds or SECONDS))
    pursue(context, "bench e3", spec(known), asked)


def _measured(spec: Spec, asked: Asked, seconds: int) -> int:
    """Steps of so many seconds, as many runs side by side as there will be; those of the runs that are there, and 0 before anything begins."""
    from nanocore.compare.length import PROBE_SECONDS, known_steps, steps_in
    from nanocore.runs.layout import run_root

    if (steps := known_steps(spec, run_root(asked.runs))) or asked.report_only:
        return steps
    say(f"{spec.name}: a step's time is measured first, {asked.slots} of the baseline side by side, {PROBE_SECONDS} s")
    steps, step = steps_in(spec, seconds, asked.slots)
    say(f"{spec.name}: {1000 * step:.0f} ms a step, so {steps} steps train {steps * step:.0f} s a run")
    return steps


def _target(preset: str) -> str:
    """A path as it is from anywhere."""
    return str(Path(preset).expanduser().absolute()) if preset.endswith(".toml") or "/" in preset else preset
