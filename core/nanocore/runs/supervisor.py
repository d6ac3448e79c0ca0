"""`python -m nanocore.runs.supervisor ROOT`: starts the queue's runs, one after another or side by side.

It is a process of its own session, one for each run root, and ends when nothing is left to do. The trainers it
starts do not need it: after its death they train on, and the next supervisor finds them by lock and identity.
"""

from __future__ import annotations

import faulthandler
import sys
import time
from pathlib import Path

from nanocore.errors import NanoError
from nanocore.runs import spawn
from nanocore.runs.documents import write_document
from nanocore.runs.layout import RunFolder, find_run
from nanocore.runs.liveness import RunLock, RunState, acquire, observe
from nanocore.runs.pace import needless, steps_at_pace
from nanocore.runs.queue import Entry, Queue, editing, stamp, supervisor_folder
from nanocore.runs.restart import due, is_accident, postponed
from nanocore.runs.status import Status, next_attempt
from nanocore.runs.text import sanitize_line

INTERVAL = 0.2  # seconds between two looks at the runs


def supervise(root: Path, lock: RunLock) -> None:
    """Work until nothing runs and nothing may start; then free the lock, before anybody can add to the queue."""
    while True:
        with editing(root) as queue:
            seen = stamp(root)  # before this pass writes: what it writes itself costs one more look, and none is missed
            for entry in queue.pending("running"):
                settle(root, queue, entry)
            started = start_next(root, queue)
            if not queue.has_work:
                lock.release()
                return
            running, halted = queue.pending("running"), bool(queue.halted)
        while not started and stamp(root) == seen and not any(concerns(root, entry, halted) for entry in running):
            time.sleep(INTERVAL)


def concerns(root: Path, entry: Entry, halted: bool) -> bool:
    """Whether something is to be done about a running entry: it ended, or it is time to start it again."""
    if works(observe(RunFolder(root / entry.run))):
        return False
    return not entry.again or (due(entry) and not halted)


def works(state: RunState) -> bool:
    """Whether a trainer is at the run, or on its way."""
    return state.alive or state.state == "starting"


def settle(root: Path, queue: Queue, entry: Entry) -> None:
    """Record the end of a run that no longer works."""
    try:
        state = observe(find_run(root, entry.run))
    except NanoError as error:
        end(queue, entry, "failed", str(error))
        return
    if works(state):
        if entry.again:  # somebody else started it, or a supervisor that then died
            queue.replace(entry.run, again=0.0)
    elif entry.again and not entry.cancelled:
        if due(entry) and not queue.halted:
            begin(root, queue, entry)
    elif state.status is None or state.status.attempt < entry.attempt:  # not even its launch could be written
        end(queue, entry, "failed", "it did not begin; look at its log and the free space on its disk")
    else:
        spawn.hear_witness(RunFolder(root / entry.run))
        record_end(root, queue, entry, observe(RunFolder(root / entry.run)))


def record_end(root: Path, queue: Queue, entry: Entry, state: RunState) -> None:
    """The entry's last state from its run's. A run that somebody stopped is no failure."""
    if entry.cancelled and state.state != "finished":
        end(queue, entry, "cancelled", state.text)
    elif state.state in ("finished", "stopped"):
        end(queue, entry, state.state, state.reason)
    elif entry.restarted < entry.restarts and is_accident(RunFolder(root / entry.run), state):
        later = postponed(RunFolder(root / entry.run), entry, state)
        queue.entries[queue.index(entry.run)] = later
        log(f"{entry.run}: {later.reason}")
    else:
        end(queue, entry, "failed", state.text)


def end(queue: Queue, entry: Entry, state: str, reason: str) -> None:
    reason = sanitize_line(reason)
    queue.replace(entry.run, state=state, reason=reason, ended=time.time())
    if state == "failed" and entry.stop_on_failure:
        queue.halted = f"{entry.run} failed: {reason}"
    log(f"{entry.run}: {state}{': ' if reason else ''}{reason}")


def start_next(root: Path, queue: Queue) -> bool:
    """Start the first waiting run when it may work beside those that do; whether the queue moved on."""
    waiting, running = queue.pending("waiting"), queue.pending("running")
    if not waiting or queue.halted:
        return False
    entry = waiting[0]
    if len(running) >= min(other.slots for other in (*running, entry)):
        return False
    begin(root, queue, entry)
    return True


def begin(root: Path, queue: Queue, entry: Entry) -> None:
    """Start a run; one that cannot be started has failed."""
    try:
        launch(root, queue, entry)
    except NanoError as error:
        end(queue, entry, "failed", str(error))
    except OSError as error:
        end(queue, entry, "failed", error.strerror or str(error))


def launch(root: Path, queue: Queue, entry: Entry) -> None:
    """Start a run's trainer. One that works already is taken over; one that finished, or is not needed, begins nothing."""
    run = find_run(root, entry.run)
    state = observe(run)
    if works(state):
        queue.replace(entry.run, state="running", attempt=state.status.attempt if state.status else 0)
    elif state.state == "finished":
        end(queue, entry, "finished", state.reason)
    elif entry.pace is not None and next_attempt(run) == 1 and (reason := needless(root, entry.pace)):
        write_document(run.status_file, Status(state="stopped", phase="ended", message=reason))
        end(queue, entry, "stopped", reason)
    else:
        threads, nice = prepare(root, run, entry)
        attempt = next_attempt(run)
        spawn.spawn_trainer(run, threads=threads, nice=nice)  # before the entry: if this process dies, it is taken over
        queue.replace(entry.run, state="running", attempt=attempt, again=0.0, reason="")
        log(f"{entry.run}: started")


def prepare(root: Path, run: RunFolder, entry: Entry) -> tuple[int, int]:
    """Put into the run's configuration what is known only now; its threads and niceness.

    Runs side by side share the processors, unless their configuration says how many threads they take.
    """
    from nanocore.config.overrides import apply
    from nanocore.config.toml import load, read_table, save
    from nanocore.config.validate import build

    sets = []
    config = load(run.config_file)
    if entry.pace is not None:
        sets.append(f"training.steps={steps_at_pace(root, entry.pace)}")
    if entry.slots > 1 and config.hardware.threads == 0:
        sets.append(f"hardware.threads={max(1, spawn.thread_count() // entry.slots)}")
    if sets:
        config = build(apply(read_table(run.config_file), sets), where=str(run.config_file))
        save(config, run.config_file)
    return config.hardware.threads, config.hardware.nice


def log(text: str) -> None:
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}", flush=True)


def main(arguments: list[str]) -> int:
    """Supervise a root's queue; exit code 75 when another process does."""
    faulthandler.enable()
    root = Path(arguments[0])
    try:
        lock = acquire(supervisor_folder(root))
        log("the supervisor begins")
        supervise(root, lock)
    except NanoError as error:
        log(str(error))
        return error.exit_code
    log("the supervisor ends: nothing is left to do")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
