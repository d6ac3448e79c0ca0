"""Going back to the newest good checkpoint within an attempt's process, past the text that led to trouble."""

from __future__ import annotations

from nanocore.checkpoint.choose import newest
from nanocore.checkpoint.state import load_checkpoint
from nanocore.errors import DivergedError
from nanocore.train.checkpoints import stored_progress
from nanocore.train.distributed import broadcast_json
from nanocore.train.job import Job
from nanocore.train.progress import Progress
from nanocore.train.window import Window

MOST_ROLLBACKS = 3  # to the same checkpoint


def roll_back(job: Job, reason: str) -> None:
    """Restore the newest good checkpoint, and go on with the text behind the present batch, as a new attempt.

    What was trained on since that checkpoint is not read again. Raises DivergedError with `reason` when there is no
    checkpoint, or the run went back to it too often.
    """
    where = f"step {job.reporter.step}"
    found = newest(job.run) if job.world.rank == 0 else None
    if found and found.passed_over:
        job.reporter.warn(found.passed_over)
    name = broadcast_json(found.path.name if found else "")
    if not name:
        raise DivergedError(f"{reason}; there is no checkpoint to go back to", where=where)
    checkpoint = load_checkpoint(job.run.checkpoints_dir / name)
    times = job.progress.rollbacks + 1 if job.progress.rolled_to == checkpoint.step else 1
    if times > MOST_ROLLBACKS:
        raise DivergedError(f"{reason}; it went back to {name} {MOST_ROLLBACKS} times already", where=where)
    job.core.load_state_dict(checkpoint.model)
    job.optimizers.load_state_tensors(checkpoint.optimizer)
    _tell(job, checkpoint.step, reason)
    _take_back(job.progress, stored_progress(checkpoint), times)
    job.window = Window()
    job.findings.clear()


def _take_back(progress: Progress, stored: Progress, times: int) -> None:
    """Counters as they were then; the time that passed and the position in the text stay."""
    progress.step, progress.tokens = stored.step, stored.tokens
    progress.spikes, progress.skipped = stored.spikes, stored.skipped
    progress.rollbacks, progress.rolled_to = times, stored.step


def _tell(job: Job, step: int, reason: str) -> None:
    """The end of one attempt and the beginning of the next, for every reader of the records."""
    message = f"goes back to step {step}: {reason}"
    job.reporter.event("rollback", to_step=step, message=message)
    job.reporter.log(message, "WARNING")
    job.reporter.begin_attempt(job.reporter.attempt + 1, step)
    if job.orders.inbox:
        job.orders.inbox.go_on(job.reporter.attempt)
    if job.world.rank == 0:
        job.reporter.event("resumed", from_step=step)
        if job.config.logging.tensorboard:
            job.reporter.open_tensorboard(job.run, step)
