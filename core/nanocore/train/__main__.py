"""`python -m nanocore.train RUN`: the trainer process. The lock comes first, torch after.

Under torchrun every rank runs this; rank 0 alone owns and writes the run folder.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import traceback
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nanocore.checkpoint.manifest import sweep
from nanocore.errors import DivergedError, NanoError, StopRequested, UsageError
from nanocore.runs.control import Inbox
from nanocore.runs.create import update_run
from nanocore.runs.hints import to_type
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import acquire
from nanocore.runs.pace import Calibration, calibration
from nanocore.runs.staging import accept, configuration_file, discard
from nanocore.runs.status import Status, StatusWriter, next_attempt, read_status
from nanocore.train.failure import explained, unwritable
from nanocore.train.orders import Orders
from nanocore.train.reporter import Reporter
from nanocore.train.signals import listening
from nanocore.wording import counted

if TYPE_CHECKING:
    from nanocore.config.schema import Config
    from nanocore.train.attempt import Attempt
    from nanocore.train.job import Job
    from nanocore.train.loop import Outcome


class Ending(NamedTuple):
    """The last word of an attempt."""

    state: str
    exit_code: int
    message: str = ""


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        _say("usage: python -m nanocore.train RUN_FOLDER")
        return UsageError.exit_code
    faulthandler.enable()
    run, orders = RunFolder(Path(arguments[0]).absolute()), Orders()
    try:
        with listening(orders):  # from here on a signal is a request, also while torch is loading
            return _as_owner(run, orders) if os.environ.get("RANK", "0") == "0" else _as_helper(run, orders)
    except NanoError as error:  # before there is a status to write to
        _say(str(error))
        return error.exit_code


def _as_owner(run: RunFolder, orders: Orders) -> int:
    if not run.run_file.is_file():
        raise UsageError("is not a run folder", where=str(run.path), fix=f"make one with: {to_type('train PRESET')}")
    lock = acquire(run)
    try:
        reporter = _open(run, orders)
        orders.farewell, orders.forced = partial(_abandon, run, reporter), reporter.forced
        ending = Ending("crashed", 1, "it ended without a reason")
        try:
            ending = _guarded(run, reporter, orders)
        finally:
            discard(run)
            reporter.finish(*ending)
        return ending.exit_code
    finally:
        lock.release()


def _abandon(run: RunFolder, reporter: Reporter, exit_code: int) -> None:
    """The last word of an attempt that ends inside a phase, from another thread than the one that works."""
    message = "stopped on request inside a phase, with nothing to save"
    reporter.log(message)
    reporter.event("stopped", message=message, exit_code=exit_code)
    discard(run)
    reporter.finish("stopped", exit_code, message)


def _open(run: RunFolder, orders: Orders) -> Reporter:
    """Say that the trainer is there, and open what it reports to. Raises ResourceError when that cannot be written."""
    status = None
    try:
        sweep(run.checkpoints_dir)
        attempt = next_attempt(run)
        known = read_status(run) or Status()  # until this attempt makes a step, the run is where it was
        status = StatusWriter(run, attempt=attempt, step=known.step, steps=known.steps, tokens=known.tokens)
        orders.inbox = Inbox(run, attempt)
        orders.inbox.discard_stale()
        reporter = Reporter(run, status, attempt)
    except OSError as error:
        failure = unwritable(error, run.name)
        if status is not None:
            status.finish("crashed", failure.exit_code, str(failure))
        raise failure from None
    reporter.event("started", pid=os.getpid())
    return reporter


def _as_helper(run: RunFolder, orders: Orders) -> int:
    """Another rank under torchrun: computes, writes nothing."""
    status = read_status(run)
    ending = _guarded(run, Reporter(None, None, status.attempt if status else 1), orders)
    if ending.message:
        _say(ending.message)
    return ending.exit_code


def _guarded(run: RunFolder, reporter: Reporter, orders: Orders) -> Ending:
    """Train; no exception leaves, and a traceback goes to the log line by line."""
    try:
        outcome = _train(run, reporter, orders)
        return Ending(outcome.state, outcome.exit_code)
    except Exception as error:
        known = explained(error)
        return _crashed(reporter, error) if known is None else _ended(reporter, known)


def _crashed(reporter: Reporter, error: Exception) -> Ending:
    """A fault of the program itself. Its log ends with the reason: on a full disk that is all that is left of it."""
    message = f"unexpected error: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    reporter.event("crashed", message=message)
    for line in "".join(traceback.format_exception(error)).splitlines():
        reporter.log(line, "ERROR")
    return Ending("crashed", 1, message)


def _ended(reporter: Reporter, error: NanoError) -> Ending:
    stopped = isinstance(error, StopRequested)
    state = "stopped" if stopped else "diverged" if isinstance(error, DivergedError) else "crashed"
    reporter.event(state, message=str(error), exit_code=error.exit_code)
    reporter.log(str(error), "INFO" if stopped else "ERROR")
    return Ending(state, error.exit_code, str(error))


def _train(run: RunFolder, reporter: Reporter, orders: Orders) -> Outcome:
    """Find the machine and the other processes, and train with them."""
    from nanocore.config.toml import load
    from nanocore.train.horizon import planned

    config = load(configuration_file(run))
    reporter.status(steps=planned(config, run))
    import torch

    orders.raise_if_stopped()
    from nanocore.runs.spawn import thread_count
    from nanocore.train.attempt import Attempt
    from nanocore.train.distributed import join, leave
    from nanocore.train.hardware import choose_machine

    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(max(1, thread_count(config.hardware.threads) // processes))
    machine = choose_machine(config.hardware, int(os.environ.get("LOCAL_RANK", "0")))
    world = join(machine.device)
    try:
        return _to_the_end(Attempt(run, world, machine, orders, reporter), config)
    finally:
        leave()


def _to_the_end(attempt: Attempt, config: Config) -> Outcome:
    """Build everything, then train, or time steps where the run is a calibration."""
    from nanocore.train.build import build
    from nanocore.train.loop import train

    run, machine, reporter = attempt.run, attempt.machine, attempt.reporter
    job = build(attempt, config)
    if attempt.world.rank == 0:
        accept(run)
    if job.progress.step:
        reporter.event("resumed", from_step=job.progress.step)
    reporter.log(f"training on {machine.name}, {counted(machine.threads, 'thread')}, {machine.dtype}")
    timing = calibration(run)
    return train(job) if timing is None else _calibrate(job, timing)


def _calibrate(job: Job, timing: Calibration) -> Outcome:
    """Time steps; the share of the processors that they had stands in run.json, as metrics tell it of a run that trains."""
    from nanocore.train.calibrate import calibrate

    outcome = calibrate(job, timing.sets, timing.rounds)
    if job.machine.device.type == "cpu":
        update_run(job.run, processor_share=round(job.processor_share(), 4))
    return outcome


def _say(text: str) -> None:
    with suppress(OSError):  # nowhere to say it: the exit code still does
        print(text, file=sys.stderr, flush=True)


def _leave(code: int) -> None:
    """Exit with `code`. Python would make it 120 where the last lines cannot be flushed, as on a full disk."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


if __name__ == "__main__":
    _leave(main(sys.argv[1:]))
