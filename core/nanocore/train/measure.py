"""What interrupts training in its turn: held-out measures and text samples. A stop ends both at once."""

from __future__ import annotations

import time
from contextlib import closing

from nanocore.runs.curve import attempt_of, newest_attempts
from nanocore.runs.documents import replace_file
from nanocore.runs.records import read_all
from nanocore.train.distributed import broadcast_json
from nanocore.train.evaluate import evaluate, sample
from nanocore.train.job import Job
from nanocore.train.orders import hear, take_orders

_KEEP = 1 << 16  # bytes from the end of the metrics


class BrokenOff(Exception):
    """A stop came; what was measured so far is worth nothing."""


def measure(job: Job, **facts: int) -> None:
    """Held-out measures; their time is not training time. `facts` are of the record: the attempt that made the step."""

    def pulse() -> None:
        job.reporter.pulse()
        take_orders(job)
        if job.orders.stop:
            raise BrokenOff

    job.reporter.status(phase="evaluating")
    started = time.monotonic()
    try:
        pulse()
        values = evaluate(job.core, job.heldout, job.machine, job.world, pulse)
    except BrokenOff:
        job.reporter.log("evaluation broken off: the run is to stop")
        return
    job.reporter.metrics(values, tokens=job.progress.tokens, elapsed=job.progress.elapsed, **facts)
    job.reporter.event("eval", seconds=round(time.monotonic() - started, 3), **values)
    job.reporter.log(f"held-out ce {values['eval/ce']:.4f}, bits per byte {values['eval/bits_per_byte']:.4f}")


def last_measures(job: Job) -> None:
    """What a run that is done ends with, unless an earlier attempt came so far: it may have been killed in between."""
    records = newest_attempts(read_all(job.run.metrics_file, keep=_KEEP)) if job.world.rank == 0 else []
    made = [record for record in records if record.get("step") == job.progress.step]
    if not broadcast_json(any("eval/ce" in record for record in made)):
        measure(job, attempt=attempt_of(made[-1]) if made else job.reporter.attempt)
    if not job.run.sample_file(job.progress.step).exists():
        write_sample(job)


def write_sample(job: Job) -> None:
    """One text from the model as it is now, the same prompt and seed at every step. Rank 0 alone writes it."""
    if job.world.rank != 0 or job.orders.stop:
        return
    job.reporter.status(phase="sampling")
    settings = job.config.evaluation
    pieces: list[str] = []
    drawn = sample(
        job.core, job.corpus.tokenizer, settings.sample_prompt, settings.sample_tokens, job.config.training.seed
    )
    with closing(drawn):
        for piece in drawn:
            pieces.append(piece)
            job.reporter.pulse()
            hear(job)
            if job.orders.stop:
                job.reporter.log("sample broken off: the run is to stop")
                return
    _save_sample(job, settings.sample_prompt + "".join(pieces))


def _save_sample(job: Job, text: str) -> None:
    path = job.run.sample_file(job.progress.step)
    try:
        replace_file(path, text.encode("utf-8", "backslashreplace"), durable=False)
    except OSError as error:
        job.reporter.warn(f"the sample was not saved: {error.strerror}")
        return
    job.reporter.text("samples", text)
    job.reporter.event("sample", path=f"samples/{path.name}")
