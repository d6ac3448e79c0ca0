"""Starting trainers: a new run, a run forked from a checkpoint, a run that goes on. Never waits for data or torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nanocore.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from nanocore.config.schema import Config
    from nanocore.runs.create import Parent
    from nanocore.runs.layout import RunFolder


@dataclass(frozen=True)
class Launched:
    """A started trainer: its run, its process id, and the step it begins at."""

    run: RunFolder
    pid: int
    step: int


def launch(
    config: Config,
    *,
    root: Path,
    preset: str = "",
    name: str = "",
    parent: Parent | None = None,
    argv: Sequence[str] = (),
) -> Launched:
    """Create a run folder and start its trainer. Raises UsageError when the name is taken or not allowed."""
    from nanocore.runs.create import create_run
    from nanocore.runs.spawn import spawn_trainer

    run = create_run(root, config, preset=preset, name=name, argv=argv, parent=parent)
    pid = spawn_trainer(run, threads=config.hardware.threads, nice=config.hardware.nice)
    return Launched(run, pid, parent.step if parent else 0)


def fork_point(root: Path, text: str, *, fresh_optimizer: bool = False) -> Parent:
    """The parent that `RUN` or `RUN@STEP` names. Raises UsageError or CheckpointError when it does not exist."""
    from nanocore.checkpoint.manifest import available, step_of
    from nanocore.runs.create import Parent
    from nanocore.runs.layout import find_run

    name, _, wanted = text.partition("@")
    if wanted and not wanted.isdecimal():
        raise UsageError(f"{wanted!r} is not a step", where=name, fix="write RUN or RUN@STEP")
    steps = [step_of(path) for path in available(find_run(root, name).checkpoints_dir)]
    if not steps or (wanted and int(wanted) not in steps):
        known = ", ".join(str(step) for step in sorted(steps)) or "none"
        missing = f"no checkpoint of step {wanted}" if wanted else "no checkpoint"
        raise CheckpointError(missing, where=name, fix=f"its checkpoints: {known}")
    step = int(wanted) if wanted else max(steps)
    return Parent(run=name, step=step, optimizer="fresh" if fresh_optimizer else "kept")


def check_fork(config: Config, parent: Config) -> None:
    """Raise UsageError naming every key that makes the parent's checkpoint unusable for this configuration."""
    from nanocore.config.continuation import fork_conflicts

    if conflicts := fork_conflicts(parent, config):
        raise UsageError(f"the checkpoint has another model: {', '.join(conflicts)}", fix="keep these keys as they are")


def restart(run: RunFolder, sets: Sequence[str] = ()) -> Launched:
    """Start the trainer of an ended run again, from its last checkpoint, with changes to what may change.

    Raises BusyError while a trainer has the run, UsageError for a key that needs a new run.
    """
    from nanocore.checkpoint.manifest import available, step_of
    from nanocore.config.toml import load, save
    from nanocore.runs.liveness import busy_error, lock_owner
    from nanocore.runs.spawn import spawn_trainer

    if (owner := lock_owner(run)) is not None:
        raise busy_error(run, owner)
    config = load(run.config_file)
    if sets:
        config = _continued(run, config, sets)
        save(config, run.config_file)
    steps = [step_of(path) for path in available(run.checkpoints_dir)]
    pid = spawn_trainer(run, threads=config.hardware.threads, nice=config.hardware.nice)
    return Launched(run, pid, max(steps, default=0))


def _continued(run: RunFolder, config: Config, sets: Sequence[str]) -> Config:
    """The configuration of a run with `sets`, all of which a resumed run may change."""
    from nanocore.config.continuation import resume_conflicts
    from nanocore.config.resolve import resolve

    new = resolve(str(run.config_file), sets)
    if conflicts := resume_conflicts(config, new):
        raise UsageError(
            f"cannot change when a run is resumed: {', '.join(conflicts)}",
            where=run.name,
            fix=f"start a new run from it: train --from {run.name} --set ...",
        )
    return new
