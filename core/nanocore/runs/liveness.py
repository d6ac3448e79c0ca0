"""Who works on a run: the lock, and what it says together with the trainer's identity.

The trainer takes a POSIX lock (`fcntl.lockf`) and keeps it while it lives: the kernel frees it even after kill -9,
and a forked worker does not inherit it. Closing any descriptor of LOCK in the process that holds it would drop it,
so that process opens the file once and never again; others look with F_GETLK and never acquire.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nanocore.errors import BusyError, UsageError, remedy
from nanocore.files import open_regular, read_regular
from nanocore.runs.documents import Flawed, write_whole
from nanocore.runs.identity import boot_id, host_name
from nanocore.runs.layout import RunFolder
from nanocore.runs.postmortem import cause_of_death, witnessed_exit
from nanocore.runs.status import ALIVE_STATES, Status, load_status, read_status
from nanocore.runs.text import sanitize_line
from nanocore.runs.traces import began

_FLOCK = "hhqqi"  # struct flock of 64-bit Linux: type, whence, start, length, pid
_START_LIMIT = 30.0  # seconds from the launch to the lock; the interpreter needs 0.1
_LOCK = RunFolder(Path()).lock_file.name
_MOST_SIGNED = 4096  # bytes of LOCK: pid, host and time
_held: dict[Path, tuple[int, RunLock]] = {}  # by this process; the pid tells a forked child that it holds nothing


class RunLock:
    """The right to write a run folder, until `release` or the end of the process."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self._descriptor = path, descriptor

    def release(self) -> None:
        """Free the run for another process of this or another console."""
        if _held.pop(self._path, None) is not None:
            os.close(self._descriptor)


def acquire(run: RunFolder) -> RunLock:
    """Take the run for this process. Raises BusyError (exit 75) when another process, or this one, has it."""
    path = _lock_path(run)
    if _holder(path) is not None:
        raise busy_error(run, os.getpid())
    try:
        descriptor = open_regular(path, os.O_RDWR | os.O_CREAT, follow=False)
    except OSError as error:
        what = f"the run's lock cannot be opened: {error.strerror}"
        raise UsageError(what, where=str(path), fix=remedy(error)) from None
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = lock_owner(run)
        os.close(descriptor)
        raise busy_error(run, owner or 0) from None
    status = read_status(run)
    if status is not None and status.pid != os.getpid() and _works_without_lock(run, status):
        os.close(descriptor)
        raise busy_error(run, status.pid)
    lock = RunLock(path, descriptor)
    _held[path] = (os.getpid(), lock)
    _sign(descriptor)
    return lock


def lock_owner(run: RunFolder) -> int | None:
    """The pid of the process that holds the run's lock, 0 when it cannot be seen from here, None when nobody does."""
    path = _lock_path(run) if _held else run.lock_file  # who holds none need not find the real folder
    holder = _holder(path)
    if holder is not None:
        return holder
    try:
        descriptor = open_regular(path, follow=False)
    except OSError:
        return None
    try:
        question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, question))
    finally:
        os.close(descriptor)
    return None if kind == fcntl.F_UNLCK else max(pid, 0)


def _lock_path(run: RunFolder) -> Path:
    """LOCK under the run's real folder, so that this process knows its own lock by any path; LOCK is no link."""
    return RunFolder(Path(os.path.realpath(run.path))).lock_file  # unlike resolve(), it takes a link to itself as it is


def _holder(path: Path) -> int | None:
    """This process, when it holds the lock at `path`: looking through a descriptor would drop it."""
    pid, _ = _held.get(path, (0, None))
    return pid if pid == os.getpid() else None


def _sign(descriptor: int) -> None:
    """Leave pid, host and time in LOCK, for the message of whoever comes second."""
    with suppress(OSError):  # a full disk does not forbid the lock itself
        os.ftruncate(descriptor, 0)
        write_whole(descriptor, f"{os.getpid()} {host_name()} {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())


def busy_error(run: RunFolder, pid: int) -> BusyError:
    """The refusal for whoever comes second: pid, host and start of the owner, from what it left in LOCK."""
    fields: list[str] = []
    if pid != os.getpid():  # the owner itself must not open LOCK
        with suppress(OSError):
            written = read_regular(run.lock_file, _MOST_SIGNED, follow=False).decode(errors="replace")
            fields = sanitize_line(written).split(maxsplit=2)
    signed, host, since = fields if len(fields) == 3 else ("", host_name(), "")
    when = f", since {since}" if since else ""
    return BusyError(f"busy: pid {pid or signed}, host {host}{when}", where=run.name, fix="watch it, or stop it first")


@dataclass(frozen=True)
class RunState:
    """What a run is doing. `reason` is plain words, safe to show; `alive` means that a process works on it here.

    Besides the states that a trainer gives itself there are `created` (never started), `elsewhere` (last seen at work
    on another host), `unknown` (its status cannot be read) and `gone` (its folder is not there).
    """

    state: str
    phase: str = ""
    alive: bool = False
    pid: int = 0
    reason: str = ""
    status: Status | None = None

    @property
    def at_work(self) -> bool:
        """Whether a process works on it here, or was launched to and is still to come."""
        return self.alive or self.state == "starting"

    @property
    def text(self) -> str:
        """One line in plain words, such as "running (evaluating)" or "crashed: killed by SIGKILL"."""
        phase = f" ({self.phase})" if self.alive and self.phase not in ("", self.state, "training") else ""
        return worded(f"{self.state}{phase}", self.reason)


def worded(state: str, reason: str) -> str:
    """State and reason in one line; a reason that begins with its state says both."""
    return reason if reason.startswith(state) else f"{state}{': ' if reason else ''}{reason}"


def observe(run: RunFolder) -> RunState:
    """The state of a run, from lock, status and identity; never from a bare pid, and without taking the lock."""
    owner = lock_owner(run)
    try:
        status, flaw = load_status(run), ""
    except Flawed as error:
        status, flaw = None, str(error)
    if owner is not None:
        return _held_state(status, owner)
    if status is not None and (files := _works_without_lock(run, status)):
        return _unlocked_state(status, files)
    if _is_gone(run):
        return RunState("gone", reason="its folder was deleted or moved")
    return _idle_state(run, status) if status is not None else _state_without_status(run, flaw)


def _idle_state(run: RunFolder, status: Status) -> RunState:
    """The state of a run on which no process of this host works."""
    if status.state not in ALIVE_STATES:
        return RunState(status.state, status.phase, pid=status.pid, reason=sanitize_line(status.message), status=status)
    if status.host != host_name():
        reason = f"it was last seen {status.state} on host {status.host}"
        return RunState("elsewhere", status.phase, pid=status.pid, reason=reason, status=status)
    return RunState("starting", "starting", status=status) if _is_coming(run, status) else _dead(run, status)


def _state_without_status(run: RunFolder, flaw: str) -> RunState:
    """A run that was never started has neither status nor anything that a trainer leaves."""
    if flaw:
        return RunState("unknown", reason=f"its status {flaw}")
    if began(run):
        return RunState("unknown", reason="its status cannot be read: it is missing")
    return RunState("created", reason="created, never started")


def _is_gone(run: RunFolder) -> bool:
    """Whether the run's folder is no run any more; one that may not be looked into is not gone."""
    try:
        run.run_file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _held_state(status: Status | None, owner: int) -> RunState:
    """The state of a run whose lock is held; a status of an older process says nothing about this one."""
    if status is None or (owner and status.pid != owner and status.host == host_name()):
        return RunState("starting", "starting", alive=True, pid=owner, status=status)
    return RunState(
        status.state, status.phase, alive=True, pid=owner or status.pid, reason=status.message, status=status
    )


def _is_coming(run: RunFolder, status: Status) -> bool:
    """Whether a trainer was just launched that has not taken the lock yet; until then nobody else knows its pid."""
    recent = status.boot_id == boot_id() and 0 <= time.monotonic() - status.launched < _START_LIMIT
    return status.pid == 0 and recent and witnessed_exit(run, status.attempt) is None


def _works_without_lock(run: RunFolder, status: Status) -> set[str]:
    """The files of the run that exactly the process which wrote its status still has open, though nobody holds the lock.

    In a copy of the folder it has none: its files are those of the original.
    """
    here = status.state in ALIVE_STATES and status.identity.lives()
    return _open_files(status.pid, run.path) if here else set()


def _unlocked_state(status: Status, files: set[str]) -> RunState:
    """A process that has LOCK open has lost the lock (LOCK was deleted, or the disk is faulty); else it let it go as its
    last act, and could not write its last word."""
    lost = _LOCK in files
    phase, reason = (status.phase, "it works without the run's lock") if lost else ("ending", "")
    return RunState(status.state, phase, alive=True, pid=status.pid, reason=reason, status=status)


def _open_files(pid: int, folder: Path) -> set[str]:
    """Names of the files of a folder that a process has open, also of deleted ones; LOCK when that cannot be seen."""
    inside = Path(os.path.realpath(folder))
    try:
        links = list(Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:
        return set()
    except OSError:
        return {_LOCK}
    found: set[str] = set()
    for link in links:
        with suppress(OSError):  # closed since
            if (target := link.readlink()).is_relative_to(inside):
                found.add(target.name.removesuffix(" (deleted)"))
    return found


def _dead(run: RunFolder, status: Status) -> RunState:
    """A run that says it works although nobody holds its lock."""
    if status.boot_id != boot_id():
        reason = "the machine restarted while it ran"
    else:
        reason = cause_of_death(run, status)
    return RunState("crashed", status.phase, pid=status.pid, reason=reason, status=status)
