"""Saving the run, and starting from a checkpoint: the run's own (resume) or another's (fork)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from nanocore.checkpoint.lost import lost_place
from nanocore.checkpoint.manifest import folders, latest, step_folder, verify
from nanocore.checkpoint.retention import retain_by
from nanocore.checkpoint.state import Checkpoint, load_checkpoint, save_checkpoint
from nanocore.config.continuation import fork_conflicts, resume_conflicts, some, state_conflicts
from nanocore.config.schema import Config
from nanocore.config.validate import build as build_config
from nanocore.errors import CheckpointError, ResourceError, UsageError
from nanocore.optim.optimizers import FRESH
from nanocore.runs.forks import waiting_forks
from nanocore.runs.hints import to_type
from nanocore.runs.layout import RunFolder
from nanocore.train.distributed import broadcast_json
from nanocore.train.failure import then_resume
from nanocore.train.job import Job
from nanocore.train.progress import Progress
from nanocore.train.reporter import Reporter

MOST_FAILED_SAVES = 3  # in a row


def save(job: Job) -> bool:
    """Write a checkpoint of the present step; all ranks hear whether it is safe.

    A failure is a warning, and the next turn tries again; ResourceError when it is one of several in a row.
    """
    job.save_fault = broadcast_json(_save(job) if job.world.rank == 0 else None)
    saved = job.save_fault is None
    job.failed_saves = 0 if saved else job.failed_saves + 1
    if job.failed_saves >= MOST_FAILED_SAVES:
        raise unsaved(job, f"{job.failed_saves} checkpoints in a row")
    job.orders.unsaved = not saved
    return saved


def unsaved(job: Job, what: str) -> ResourceError:
    """The end of a run whose checkpoints cannot be written; the reason stands in its warnings, or is a folder that is gone."""
    return job.reporter.gone() or ResourceError(f"{what} could not be saved", fix=then_resume(job.save_fault or ""))


def _save(job: Job) -> str | None:
    """None when the present step is safe, else what to do about it, "" when that is not known."""
    if verify(step_folder(job.run.checkpoints_dir, job.progress.step)) == []:
        return None
    job.reporter.status(phase="saving")
    started = time.monotonic()
    job.progress.horizon, job.progress.duration = job.horizon.steps, job.config.training.duration
    state = {
        "progress": job.progress.to_json(),
        "config": job.config.model_dump(),
        "corpus": job.corpus.key,
        "machine": machine_facts(job),
    }
    try:
        path = save_checkpoint(
            job.run,
            job.progress.step,
            model=dict(job.core.state_dict()),
            optimizer=job.optimizers.state_tensors(),
            state=state,
            tokenizer_json=job.corpus.tokenizer.to_json(),
        )
    except ResourceError as error:
        job.reporter.warn(str(error))
        return error.fix
    seconds = time.monotonic() - started
    job.reporter.event("checkpoint", path=f"checkpoints/{path.name}", seconds=round(seconds, 3))
    job.reporter.log(f"checkpoint saved in {seconds:.2f} s")
    _retain(job)
    return None


def _retain(job: Job) -> None:
    """Remove what `checkpoint` does not keep, but none that a fork starts from; all stay where forks cannot be looked up."""
    try:
        needed = waiting_forks(job.run.path.parent, job.run).values()
    except UsageError as error:
        job.reporter.warn(str(error))
        return
    retain_by(job.run, job.config.checkpoint, needed)


def machine_facts(job: Job) -> dict[str, Any]:
    return {**job.machine.facts(), "torch": str(torch.__version__), "world": job.world.size}


def own_checkpoint(run: RunFolder, config: Config, reporter: Reporter) -> Checkpoint | None:
    """The newest good checkpoint of this run, or None before the first; those passed over are told.

    CheckpointError where there are some and none is good, where none is left, and for another configuration.
    """
    path, found = latest(run.checkpoints_dir), folders(run.checkpoints_dir)
    broken = found if path is None else found[found.index(path) + 1 :]
    for each in broken:
        reporter.warn(f"{each.name} is not used: {next(iter(verify(each)), 'it changes just now')}")
    if path is None:
        if not found:
            if (lost := lost_place(run)) is not None:
                raise lost
            return None
        what = f"none of its {len(found)} checkpoints can be used: {next(iter(verify(found[-1])), '')}"
        raise CheckpointError(
            what,
            where=run.name,
            fix=f"put a copy back, or begin a new run with its settings: {to_type(f'train {run.name}')}",
        )
    checkpoint = load_checkpoint(path)
    conflicts = resume_conflicts(build_config(checkpoint.state["config"], where=str(path.name)), config)
    if conflicts:
        raise CheckpointError(
            f"was trained with another configuration: {some(conflicts)}",
            where=path.name,
            fix=f"put {run.config_file.name} back as it was, or start a new run with --from {run.name}",
        )
    return checkpoint


def parent_checkpoint(path: Path, config: Config, *, with_optimizer: bool) -> Checkpoint:
    """Another run's checkpoint to start from. CheckpointError when its tensors do not fit."""
    checkpoint = load_checkpoint(path, with_optimizer=with_optimizer)
    before = build_config(checkpoint.state["config"], where=path.name)
    if conflicts := fork_conflicts(before, config):
        raise CheckpointError(f"has another model: {', '.join(conflicts)}", where=path.name, fix="keep these keys")
    if with_optimizer and (conflicts := state_conflicts(before, config)):
        what = f"has optimizer state of another form: {', '.join(conflicts)}"
        raise CheckpointError(what, where=path.name, fix=FRESH)
    return checkpoint


def restore(job: Job, checkpoint: Checkpoint) -> None:
    """Continue the run: weights, optimizer, counters. Warns of what makes the continuation not bit-exact."""
    job.core.load_state_dict(checkpoint.model)
    job.optimizers.load_state_tensors(checkpoint.optimizer)
    before = checkpoint.state["machine"]
    for key, now in machine_facts(job).items():
        if before.get(key) != now:
            job.reporter.warn(f"not bit-exact: {key} {before.get(key)} -> {now}")


def stored_progress(checkpoint: Checkpoint) -> Progress:
    return Progress.from_json(checkpoint.state["progress"])
