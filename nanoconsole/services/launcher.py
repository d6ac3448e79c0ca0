"""Starting trainers: a new run, a run forked from a checkpoint, a run that goes on. Only `confirm` waits for one."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nanocore.errors import NanoError, UsageError
from nanocore.runs.hints import to_type

if TYPE_CHECKING:
    from nanocore.config.schema import Config
    from nanocore.runs.create import Parent
    from nanocore.runs.layout import RunFolder

CONFIRMATION = 4.0  # seconds of each later phase for which a launch that is not followed waits for an early failure
INTERVAL = 0.05  # seconds between two looks


@dataclass(frozen=True)
class Launched:
    """A started trainer: its run, its process id, the step of its newest checkpoint, and the checkpoint a fork begins with.

    `parent` is RUN@STEP, "" for a run that begins anew or goes on from a checkpoint of its own. `resumes` says that it
    has such ones; which of them is good only the trainer finds out, so `step` is 0 where none looks whole.
    """

    run: RunFolder
    pid: int
    step: int
    parent: str = ""
    resumes: bool = False

    @property
    def start(self) -> str:
        """What is known of its beginning: `resuming, newest checkpoint step 60`, `starting from first@60, ...`."""
        if self.parent:
            return f"starting from {self.parent}, at its own step {self.step}"
        if self.resumes:
            return f"resuming, newest checkpoint step {self.step}" if self.step else "resuming"
        return f"starting at step {self.step}"


def launch(
    config: Config,
    *,
    root: Path,
    preset: str = "",
    name: str = "",
    parent: Parent | None = None,
    argv: Sequence[str] = (),
) -> Launched:
    """Create a run folder and start its trainer.

    Raises UsageError when the name is taken or not allowed, ResourceError for a GPU where there is no driver.
    """
    from nanocore.runs.create import create_run
    from nanocore.runs.named import refuse_absent_device

    refuse_absent_device(config)
    return restart(create_run(root, config, preset=preset, name=name, argv=argv, parent=parent))


def confirm(run: RunFolder) -> None:
    """Return when the trainer trains, has ended well, or was in one phase on the way there for as long as is waited for.

    Raises NanoError with the reason and the trainer's exit code when it has failed.
    """
    from nanocore.runs.liveness import observe
    from nanocore.runs.postmortem import known_exit
    from nanocore.runs.spawn import hear_witness
    from nanocore.runs.status import FAILED_STATES

    phase, since = "", time.monotonic()
    while (state := observe(run)).state == "starting" and time.monotonic() - since < _patience(phase):
        if state.phase != phase:
            phase, since = state.phase, time.monotonic()
        time.sleep(INTERVAL)
    if state.state in FAILED_STATES:
        hear_witness(run)
        state = observe(run)
        fix = f"the end of its log: {to_type(f'runs show {run.name}')}"
        error = NanoError(f"failed at once: {state.reason.removeprefix(f'{run.name}: ')}", where=run.name, fix=fix)
        error.exit_code = max(1, (known_exit(run, state.status) if state.status else None) or 1)
        raise error


def _patience(phase: str) -> float:
    """Seconds for which a launch waits in a phase.

    In the first one torch and the checkpoint are loaded, in two seconds or, on a busy machine, in many times that; it
    is waited for until it counts as stalled. Text is prepared for minutes at times: that is not.
    """
    from nanocore.runs.stall import PHASE_LIMITS

    return PHASE_LIMITS["starting"] if phase in ("", "starting") else CONFIRMATION


@dataclass(frozen=True)
class Wanted:
    """A run to be made and queued; without `name` it is numbered after its preset. A fork begins with its `parent`."""

    config: Config
    name: str = ""
    parent: Parent | None = None


def enqueue(
    wanted: Sequence[Wanted],
    *,
    root: Path,
    preset: str = "",
    argv: Sequence[str] = (),
    slots: int = 1,
    stop_on_failure: bool = False,
    restarts: int = 0,
) -> list[RunFolder]:
    """Make runs and let them wait for their turn, all or none; the queue's supervisor is started when none is there.

    `slots` is how many runs of the queue may work at a time while one of these does, `restarts` how often each is started
    again after an accident. Raises UsageError when a name is
    taken or not allowed, or the queue is full.
    """
    from nanocore.runs import queue
    from nanocore.runs.create import create_run

    made: list[RunFolder] = []
    try:
        for each in wanted:
            made.append(create_run(root, each.config, preset=preset, name=each.name, argv=argv, parent=each.parent))
        options = {"slots": slots, "stop_on_failure": stop_on_failure, "restarts": restarts}
        entries = [queue.Entry(run=run.name, **options) for run in made]
        queue.add(root, entries)
    except NanoError:
        for run in made:
            shutil.rmtree(run.path, ignore_errors=True)
        raise
    queue.wake(root)
    return made


def fork_point(root: Path, text: str, *, fresh_optimizer: bool = False) -> tuple[Parent, str]:
    """The parent that `RUN` or `RUN@STEP` names, and which damaged checkpoints were passed over for it ("": none).

    It is read and verified, so that a fork that cannot begin never takes a name: seconds where it is large. Raises
    UsageError or CheckpointError when it does not exist or is damaged.
    """
    from nanocore.checkpoint.choose import choose, parse_step
    from nanocore.checkpoint.manifest import step_of
    from nanocore.runs.create import Parent
    from nanocore.runs.layout import find_run

    name, _, wanted = text.partition("@")
    if wanted and not wanted.isdecimal():
        raise UsageError(f"{wanted!r} is not a step", where=name, fix="write RUN or RUN@STEP")
    chosen = choose(find_run(root, name), parse_step(wanted or "latest"))
    optimizer = "fresh" if fresh_optimizer else "kept"
    return Parent(run=name, step=step_of(chosen.path), optimizer=optimizer), chosen.passed_over


def check_fork(config: Config, before: Config, parent: Parent) -> None:
    """Raise UsageError naming every key that makes the parent's checkpoint unusable for this configuration.

    `before` is the parent's. Its optimizer state counts too, unless the fork begins with a fresh one.
    """
    from nanocore.config.continuation import fork_conflicts, state_conflicts

    if conflicts := fork_conflicts(before, config):
        raise UsageError(
            f"the checkpoint has another model: {', '.join(conflicts)}",
            fix=f"keep these keys as they are, or begin with new weights: {to_type(f'train {parent.run} --set ...')}",
        )
    if parent.optimizer == "kept" and (conflicts := state_conflicts(before, config)):
        fresh = to_type(f"train --from {parent.run}@{parent.step} --fresh-optimizer --set ...")
        raise UsageError(
            f"the checkpoint has optimizer state of another form: {', '.join(conflicts)}",
            fix=f"keep these keys as they are, or take its weights alone: {fresh}",
        )


def restart(run: RunFolder, sets: Sequence[str] = ()) -> Launched:
    """Start the trainer of a run that was only created, or has ended: from its last checkpoint, else its parent's.

    `sets` changes what may change, and becomes the run's configuration once the trainer was able to use it.

    Raises BusyError while a trainer has the run, UsageError for a key that needs a new run, and when all is done,
    CheckpointError when it had checkpoints and none is left.
    """
    from nanocore.checkpoint.lost import lost_place
    from nanocore.config.toml import load, save
    from nanocore.runs.liveness import busy_error, lock_owner
    from nanocore.runs.spawn import spawn_trainer
    from nanocore.runs.staging import discard

    if (owner := lock_owner(run)) is not None:
        raise busy_error(run, owner)
    discard(run)
    config = load(run.config_file)
    if sets:
        config = _continued(run, config, sets)
    _refuse_if_done(run, config, changed=bool(sets))
    if lost := lost_place(run):
        raise lost
    if sets:
        save(config, run.next_config_file)
    step, parent, resumes = _beginning(run)
    pid = spawn_trainer(run, threads=config.hardware.threads, nice=config.hardware.nice)
    return Launched(run, pid, step, parent, resumes)


def _refuse_if_done(run: RunFolder, config: Config, *, changed: bool) -> None:
    """Raise UsageError when a trainer would find nothing to do; one that only missed its last words may say them."""
    from nanocore.runs.status import read_status
    from nanocore.train.horizon import refuse_if_done
    from nanocore.train.progress import newest_progress

    status = read_status(run)
    finished = status is not None and status.state == "finished"
    if not (finished or changed):
        return
    progress = newest_progress(run)
    if status is not None and finished:  # also where its checkpoints were removed
        progress.step = max(progress.step, status.step)
    refuse_if_done(config, progress, where=run.name)


def _beginning(run: RunFolder) -> tuple[int, str, bool]:
    """The step of the newest checkpoint that looks whole, else 0; RUN@STEP of a parent it begins with; whether it has own."""
    from nanocore.checkpoint.manifest import available, folders, step_of
    from nanocore.runs.facts import load_facts

    if folders(run.checkpoints_dir):
        return max(map(step_of, available(run.checkpoints_dir)), default=0), "", True
    parent = load_facts(run).parent
    return 0, f"{parent.run}@{parent.step}" if parent else "", False


def _continued(run: RunFolder, config: Config, sets: Sequence[str]) -> Config:
    """The configuration of a run with `sets`, all of which a resumed run may change."""
    from nanocore.config.continuation import fork_conflicts, resume_conflicts, some
    from nanocore.config.resolve import resolve

    new = resolve(str(run.config_file), sets)
    if conflicts := resume_conflicts(config, new):
        fix = f"start a new run from it: {to_type(f'train --from {run.name} --set ...')}"
        if other := fork_conflicts(config, new):
            keys = some([each.partition(" ")[0] for each in other])
            again = to_type(f"train {run.name} --set ...")
            fix = f"its checkpoints do not fit another {keys}, so start a new run from the beginning: {again}"
        raise UsageError(
            f"cannot change when a run is resumed: {', '.join(conflicts)}",
            where=run.name,
            fix=fix,
        )
    return new
