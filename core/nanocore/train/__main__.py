"""`python -m nanocore.train RUN`: the trainer process. The lock comes first, torch after.

Under torchrun every rank runs this; rank 0 alone owns and writes the run folder.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from nanocore.checkpoint.manifest import sweep
from nanocore.errors import DivergedError, NanoError, ResourceError, UsageError
from nanocore.runs.control import Inbox
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import acquire
from nanocore.runs.status import StatusWriter, next_attempt, read_status
from nanocore.train.reporter import Reporter

if TYPE_CHECKING:
    from nanocore.train.loop import Outcome


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m nanocore.train RUN_FOLDER", file=sys.stderr)
        return UsageError.exit_code
    faulthandler.enable()
    run = RunFolder(Path(arguments[0]).absolute())
    try:
        return _as_owner(run) if os.environ.get("RANK", "0") == "0" else _as_helper(run)
    except NanoError as error:  # before there is a status to write to
        print(error, file=sys.stderr)
        return error.exit_code


def _as_owner(run: RunFolder) -> int:
    if not run.run_file.is_file():
        raise UsageError("is not a run folder", where=str(run.path), fix="make one with `nanoconsole train PRESET`")
    lock = acquire(run)
    sweep(run.checkpoints_dir)
    attempt = next_attempt(run)
    status = StatusWriter(run, attempt=attempt)
    inbox = Inbox(run, attempt)
    inbox.discard_stale()
    reporter = Reporter(run, status, attempt)
    reporter.event("started", pid=os.getpid())
    state, code, message = _guarded(run, reporter, inbox)
    reporter.finish(state, code, message)
    lock.release()
    return code


def _as_helper(run: RunFolder) -> int:
    """Another rank under torchrun: computes, writes nothing."""
    status = read_status(run)
    _, code, message = _guarded(run, Reporter(None, None, status.attempt if status else 1), None)
    if message:
        print(message, file=sys.stderr)
    return code


def _guarded(run: RunFolder, reporter: Reporter, inbox: Inbox | None) -> tuple[str, int, str]:
    """Final state, exit code and message; no exception leaves, and a traceback goes to the log line by line."""
    try:
        outcome = _train(run, reporter, inbox)
        return outcome.state, outcome.exit_code, ""
    except NanoError as error:
        return _ended(reporter, error)
    except Exception as error:
        if _out_of_memory(error):
            return _ended(reporter, _memory_error(error))
        for line in traceback.format_exc().splitlines():
            reporter.log(line, "ERROR")
        message = f"unexpected error: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        reporter.event("crashed", message=message)
        return "crashed", 1, message


def _ended(reporter: Reporter, error: NanoError) -> tuple[str, int, str]:
    from nanocore.train.orders import StopRequested

    stopped = isinstance(error, StopRequested)
    state = "stopped" if stopped else "diverged" if isinstance(error, DivergedError) else "crashed"
    reporter.log(str(error), "INFO" if stopped else "ERROR")
    reporter.event(state, message=str(error), exit_code=error.exit_code)
    return state, error.exit_code, str(error)


def _train(run: RunFolder, reporter: Reporter, inbox: Inbox | None) -> Outcome:
    import torch

    from nanocore.config.toml import load
    from nanocore.runs.spawn import thread_count
    from nanocore.train.build import build
    from nanocore.train.distributed import join, leave
    from nanocore.train.hardware import choose_machine
    from nanocore.train.loop import train
    from nanocore.train.orders import Orders, listening

    config = load(run.config_file)
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(max(1, thread_count(config.hardware.threads) // processes))
    machine = choose_machine(config.hardware, int(os.environ.get("LOCAL_RANK", "0")))
    world = join(machine.device)
    orders = Orders(inbox)
    try:
        with listening(orders):
            job = build(run, config, world, machine, orders, reporter)
            if job.progress.step:
                reporter.event("resumed", from_step=job.progress.step)
            reporter.log(f"training on {machine.name}, {machine.threads} threads, {machine.dtype}")
            return train(job)
    finally:
        leave()


def _out_of_memory(error: Exception) -> bool:
    return (
        isinstance(error, MemoryError) or "out of memory" in str(error).lower() or "can't allocate memory" in str(error)
    )


def _memory_error(error: Exception) -> ResourceError:
    return ResourceError(
        f"out of memory: {str(error).splitlines()[0]}",
        fix="use a smaller training.batch_size, more training.accumulation, or a shorter model.context_length",
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
