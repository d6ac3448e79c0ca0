"""`nanoconsole train`: start a trainer, and stay beside it or not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nanoconsole.cli import complete
from nanoconsole.cli.options import Board, Json, Runs, Set, examples
from nanoconsole.cli.output import emit, say, tell
from nanocore.errors import UsageError
from nanocore.runs.hints import to_type

if TYPE_CHECKING:
    from nanoconsole.services.launcher import Launched
    from nanocore.config.schema import Config
    from nanocore.runs.create import Parent
    from nanocore.runs.layout import RunFolder

StartTarget = Annotated[
    str | None,
    typer.Argument(metavar="TARGET", help="A preset, a .toml file or a run.", autocompletion=complete.targets),
]
Name = Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the new run; else PRESET-0001 and so on.")]
For = Annotated[str, typer.Option("--for", metavar="TIME", help="Train this long (30m, 8h, 1h30m), not by steps.")]
From = Annotated[
    str,
    typer.Option(
        "--from", metavar="RUN@STEP", help="Begin with a checkpoint of a run; without @STEP its last good one.",
        autocompletion=complete.runs,
    ),
]  # fmt: skip
Fresh = Annotated[bool, typer.Option("--fresh-optimizer", help="With --from: the weights only, a new optimizer.")]
Follow = Annotated[
    bool | None,
    typer.Option("--follow/--detach", help="Show progress until it ends (as without either), or return at once."),
]
CreateOnly = Annotated[
    bool, typer.Option("--create-only", help="Make the run's folder, print its path, and start nothing.")
]


def register(app: typer.Typer) -> None:
    lines = (
        "train tiny-cpu",
        "train tiny-cpu --set training.steps=200 --name quick",
        "train my.toml --for 8h --detach",
        "train --from tiny-cpu-0001@400 --set optimizer.matrix_lr=0.01",
        "train nano-125m --create-only --name big",
    )
    app.command("train", epilog=examples(*lines))(train)


def train(
    context: typer.Context,
    target: StartTarget = None,
    set: Set = None,
    name: Name = "",
    duration: For = "",
    origin: From = "",
    fresh_optimizer: Fresh = False,
    follow: Follow = None,
    tensorboard: Board = None,
    create_only: CreateOnly = False,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Train a preset, a file or a run's settings.

    With --follow, Ctrl-C stops the training with a checkpoint, or without one before the first step (exit 130; the
    trainer's own code when that fails). A second Ctrl-C ends only this command (exit 130 too): the stop stays in force,
    the run saves and ends.
    With --detach the name of the run is all that is printed: once it trains, or, when it has loaded its checkpoint and
    prepares text or builds the model, after four seconds of that. What fails later is told by `runs show`. Either way
    the training outlives this command. A run made with --create-only is started by `resume RUN` or by torchrun.
    """
    from nanoconsole.services.launcher import restart
    from nanoconsole.services.room import room_note
    from nanocore.config.advice import advice
    from nanocore.runs.create import create_run
    from nanocore.runs.layout import run_root
    from nanocore.runs.named import refuse_absent_device

    if create_only and (follow is not None or tensorboard):
        raise UsageError("--create-only starts nothing", fix="leave out --follow, --detach and --tensorboard")
    root = run_root(runs)
    parent = _parent(root, origin, fresh_optimizer)
    preset, config = _start(target, root, [*_horizon(duration, set or ()), *(set or ())], parent)
    if not create_only:
        refuse_absent_device(config)
    for line in (*advice(config, fork=parent is not None), room_note(config, root)):
        if line:
            say(f"note: {line}")
    argv = ["nanoconsole", *(context.find_root().obj or ())]
    run = create_run(root, config, preset=preset, name=name, argv=argv, parent=parent)
    if create_only:
        return _tell_created(run, as_json=json)
    return beside(restart(run), root, follow=follow is not False, tensorboard=tensorboard, as_json=json)


def _tell_created(run: RunFolder, *, as_json: bool) -> None:
    hint = to_type(f"resume {run.name}")
    say(f"{run.name}: created, not started; start it: {hint}, or torchrun with the folder's path")
    emit({"run": run.name, "path": str(run.path)}) if as_json else tell(str(run.path))


def beside(launched: Launched, root: Path, *, follow: bool, tensorboard: bool | None, as_json: bool) -> None:
    """Say what was started, then stay with it until it ends (and leave with its exit code) or return.

    `tensorboard` None leaves it to the setting, which means runs that are followed.
    Without `follow` raises NanoError when the trainer fails before `confirm` lets it go.
    """
    from nanoconsole.services.launcher import confirm
    from nanoconsole.services.tensorboard import Companion

    run = launched.run
    wanted = _served_by_setting(run) if tensorboard is None and follow else tensorboard
    board = Companion(run, root) if wanted else None
    facts = {"run": run.name, "path": str(run.path), "pid": launched.pid, "step": launched.step}
    facts |= {"parent": launched.parent} if launched.parent else {}
    say(f"{run.name}: {launched.start}; folder {run.path}, process {launched.pid}")
    say(f"look: {to_type(f'watch {run.name}')}; stop: {to_type(f'stop {run.name}')}")
    if follow:
        from nanoconsole.cli.follow import follow as stay

        raise typer.Exit(stay(run, facts, board=board, as_json=as_json))
    confirm(run)
    if board:
        facts["tensorboard"] = board.wait()
        say(f"TensorBoard: {facts['tensorboard']}")
    emit(facts) if as_json else tell(run.name)


def _served_by_setting(run: RunFolder) -> bool:
    """Whether the user wants TensorBoard beside every run, and this one writes something for it."""
    from nanoconsole.services.settings import load as settings
    from nanocore.config.toml import load
    from nanocore.runs.staging import configuration_file

    return settings().tensorboard and load(configuration_file(run)).logging.tensorboard


def _parent(root: Path, origin: str, fresh_optimizer: bool) -> Parent | None:
    from nanoconsole.services.launcher import fork_point

    if fresh_optimizer and not origin:
        raise UsageError("--fresh-optimizer needs --from", fix="without a parent every optimizer is fresh")
    if not origin:
        return None
    parent, passed_over = fork_point(root, origin, fresh_optimizer=fresh_optimizer)
    if passed_over:
        say(passed_over)
    return parent


def _horizon(duration: str, sets: Sequence[str]) -> list[str]:
    """The override that --for stands for. Raises UsageError when it is no length of time, or `sets` has another length."""
    from nanocore.config.overrides import HORIZONS, parse
    from nanocore.config.schema import seconds

    if not duration:
        return []
    for key, value in map(parse, sets):
        if value and key in HORIZONS:
            raise UsageError(f"--for and --set {key} exclude each other", fix="give one of them")
    try:
        length = seconds(duration)
    except ValueError as error:
        raise UsageError(str(error), where="--for", fix="write hours, minutes and seconds in that order") from None
    if not length:
        raise UsageError(f"{duration} is no time at all", where="--for", fix="give a length such as 30m or 8h")
    return [f'training.duration="{duration}"']


def _start(target: str | None, root: Path, sets: list[str], parent: Parent | None) -> tuple[str, Config]:
    """The preset's name and the configuration to train: those of the target, without one those of the parent.

    A fork must have the tensors of its parent's checkpoint. Raises UsageError when it has not, or nothing is named.
    """
    from nanoconsole.cli.target import configuration, label, run_label
    from nanoconsole.services.launcher import check_fork
    from nanocore.config.resolve import resolve
    from nanocore.config.toml import load
    from nanocore.runs.layout import find_run

    if parent is None:
        if target is None:
            raise UsageError("nothing to train is named", fix="name a preset, a .toml file or a run, such as tiny-cpu")
        return label(target, root), configuration(target, root, sets)
    run = find_run(root, parent.run)
    preset = label(target, root) if target else run_label(run)
    config = configuration(target, root, sets) if target else resolve(str(run.config_file), sets)
    check_fork(config, load(run.config_file), parent)
    return preset, config
