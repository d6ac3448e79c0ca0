"""The queue of a run root: ordinary runs that wait for their turn, in one small document under a lock.

Any number of consoles may change it at once: each reads, changes and replaces the document while it holds the POSIX
lock of `edit.lock` (freed by the kernel when a process dies). The trainers are started by the supervisor
(`nanocore.runs.supervisor`), a process of its own, which holds the queue's folder as a trainer holds its run's.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISREG

import msgspec

from nanocore.errors import ResourceError, UsageError, remedy
from nanocore.runs.documents import Flawed, Newer, load_document, write_document
from nanocore.runs.hints import to_type
from nanocore.runs.layout import RunFolder, check_name, find_run, queue_dir
from nanocore.runs.liveness import lock_owner, observe
from nanocore.runs.queue_document import PENDING, SCHEMA, Entry, Queue
from nanocore.runs.spawn import start_detached

MOST_PENDING = 5000
MOST_KEPT = 500  # ended entries that the list still shows
_within_process = threading.Lock()  # a POSIX lock excludes other processes only


def supervisor_folder(root: Path) -> RunFolder:
    """The queue's folder, in which lock and log of the supervisor lie where a trainer's lie in its run's."""
    return RunFolder(queue_dir(root))


def read_queue(root: Path) -> Queue:
    """The queue as it stands. Raises UsageError when its document cannot be understood."""
    path = _document(root)
    try:
        return load_document(path, Queue, newest=SCHEMA) or Queue()
    except Flawed as flaw:
        way = "use that version" if isinstance(flaw, Newer) else "correct it"
        fix = f"{way}, or move this file away: the runs are not in it"
        raise UsageError(f"the queue {flaw}", where=str(path), fix=fix) from None


def stamp(root: Path) -> tuple[int, int]:
    """What changes whenever the queue's document is replaced: its inode and time."""
    try:
        facts = _document(root).stat()
    except FileNotFoundError:
        return 0, 0
    return facts.st_ino, facts.st_mtime_ns


@contextmanager
def editing(root: Path) -> Iterator[Queue]:
    """The queue, to be changed by nobody else meanwhile; written when the block ends without an exception.

    Raises UsageError when the folder cannot be written or the document read, ResourceError when the disk is full.
    """
    with _within_process:
        descriptor = _locked(root)
        try:
            queue = read_queue(root)
            before = msgspec.json.encode(queue)
            yield queue
            _forget(queue)
            after = msgspec.json.encode(queue)
            if after != before:
                _refuse_unreadable(after)
                _write(root, queue)
        finally:
            os.close(descriptor)


def add(root: Path, entries: list[Entry]) -> None:
    """Append entries for existing runs, all or none. Raises UsageError for a run that is queued, or is not there."""
    now = time.time()
    for entry in entries:
        find_run(root, entry.run)
    with editing(root) as queue:
        taken = {entry.run for entry in queue.pending()}
        for entry in entries:
            if entry.run in taken:
                raise UsageError("is in the queue already", where=entry.run, fix=f"see {to_type('queue list')}")
            taken.add(entry.run)
        if len(taken) > MOST_PENDING:
            raise UsageError(f"the queue holds at most {MOST_PENDING} runs", fix="add the rest later")
        names = {entry.run for entry in entries}
        queue.entries = [entry for entry in queue.entries if entry.run not in names]
        queue.entries += [msgspec.structs.replace(entry, added=now) for entry in entries]


def move(root: Path, run: str, position: int) -> None:
    """Put a waiting run at `position` among the waiting, from 1. Raises UsageError when it does not wait."""
    with editing(root) as queue:
        index = queue.index(check_name(run))
        if queue.entries[index].state != "waiting":
            raise UsageError("runs already", where=run, fix="only waiting runs can be moved")
        entry = queue.entries.pop(index)
        others = [place for place, other in enumerate(queue.entries) if other.state == "waiting"]
        place = max(1, position) - 1
        queue.entries.insert(others[place] if place < len(others) else len(queue.entries), entry)


def cancel(root: Path, run: str) -> str:
    """Drop a waiting run, or ask a running one to stop, saved; returns the state it had. The run itself stays.

    Raises UsageError when it is not in the queue.
    """
    with editing(root) as queue:
        state = queue.entries[queue.index(check_name(run))].state
        if state == "waiting":
            queue.replace(run, state="cancelled", reason="cancelled before it began", ended=time.time())
        else:
            queue.replace(run, cancelled=True)
    if state == "running":
        from nanocore.runs.steer import request

        folder = find_run(root, run)
        if observe(folder).alive or observe(folder).state == "starting":
            request(folder, "stop")
    return state


def set_options(
    root: Path, run: str, *, slots: int | None = None, stop_on_failure: bool | None = None, restarts: int | None = None
) -> Entry:
    """Change how a waiting or running entry shares the machine, and what its failure does; the entry as it is then.

    Raises UsageError when the run is not in the queue. Slots count from the next start on: no run that works is stopped for them.
    """
    given = {"slots": slots, "stop_on_failure": stop_on_failure, "restarts": restarts}
    with editing(root) as queue:
        queue.replace(check_name(run), **{name: value for name, value in given.items() if value is not None})
        return queue.entries[queue.index(run)]


def halt(root: Path, reason: str = "halted by hand") -> None:
    """Start nothing more until `start`; what works goes on."""
    with editing(root) as queue:
        queue.halted = queue.halted or reason


def start(root: Path) -> None:
    """Let a halted queue go on."""
    with editing(root) as queue:
        queue.halted = ""


def wake(root: Path, *, module: str = "nanocore.runs.supervisor") -> bool:
    """Start the supervisor when there is work for one and none is there; whether it was started.

    It is a session of its own and outlives this process; of several started at once all but one end at once.
    Raises ResourceError when no process can be started, UsageError when what lies in the place of its lock is none.
    """
    if not read_queue(root).has_work or supervisor_pid(root) is not None:
        return False
    log_file = supervisor_folder(root).log_file
    _refuse_false_lock(root)
    try:
        process = start_detached(module, root.absolute(), log_file)
    except OSError as error:
        what = f"the queue's supervisor cannot be started: {error.strerror}"
        raise ResourceError(what, where=str(log_file), fix=remedy(error)) from None
    threading.Thread(target=process.wait, name="supervisor", daemon=True).start()  # leaves no zombie behind
    return True


def _refuse_false_lock(root: Path) -> None:
    """A supervisor that cannot take its lock ends at once, where nobody sees it, and the queue would wait for ever."""
    lock = supervisor_folder(root).lock_file
    with suppress(FileNotFoundError, NotADirectoryError):
        if not S_ISREG(lock.lstat().st_mode):
            what = "the queue's supervisor cannot be started: its lock is not a regular file"
            raise UsageError(what, where=str(lock), fix="move this away")


def supervisor_pid(root: Path) -> int | None:
    """The process that starts the queue's runs, or None."""
    return lock_owner(supervisor_folder(root))


def _document(root: Path) -> Path:
    return queue_dir(root) / "queue.json"


def _locked(root: Path) -> int:
    """A descriptor that holds the queue's edit lock until it is closed. Edits take milliseconds, so it waits."""
    lock = queue_dir(root) / "edit.lock"
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(lock, flags, 0o666)
        fcntl.lockf(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        fix = remedy(error, "choose another folder with --runs")
        raise UsageError(f"the queue cannot be changed: {error.strerror}", where=str(lock), fix=fix) from None
    return descriptor


def _refuse_unreadable(document: bytes) -> None:
    """What nobody could read again is not written, such as an entry of no slot. Raises UsageError."""
    try:
        msgspec.json.decode(document, type=Queue)
    except msgspec.ValidationError as error:
        raise UsageError(f"cannot be put into the queue: {error}") from None


def _write(root: Path, queue: Queue) -> None:
    try:
        write_document(_document(root), queue)
    except OSError as error:
        raise ResourceError(
            f"the queue cannot be written: {error.strerror}", where=str(queue_dir(root)), fix=remedy(error)
        ) from None


def _forget(queue: Queue) -> None:
    """Drop the oldest ended entries beyond those the list shows."""
    surplus = [entry for entry in queue.entries if entry.state not in PENDING][:-MOST_KEPT]
    if surplus:
        queue.entries = [entry for entry in queue.entries if entry not in surplus]
