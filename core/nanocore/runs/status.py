"""status.json: what the trainer says about itself, replaced as a whole at least once a second."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec

from nanocore.runs.documents import Flawed, load_document, write_document
from nanocore.runs.identity import Identity
from nanocore.runs.layout import RunFolder
from nanocore.runs.log import cap_log
from nanocore.runs.records import Record, read_all

SCHEMA = 1
ALIVE_STATES = ("starting", "running", "paused")
FAILED_STATES = ("crashed", "diverged")
FINAL_STATES = ("finished", "stopped", *FAILED_STATES)
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
MOST_ATTEMPTS = 2**31  # a larger number in a file is damage: no reader could place what comes after it
HEARTBEAT = 1.0  # seconds between two values of `alive`
_PAUSE = 0.1  # least seconds between two writes from the main thread


class Status(msgspec.Struct, frozen=True):
    """The trainer's own account. `alive` grows with time, `progress` with work; `updated` is Unix time.

    Of a trainer that is still to come, `launched` is the launch on the host's monotonic clock, which never jumps.
    """

    schema: int = SCHEMA
    state: str = "starting"
    phase: str = "starting"
    step: _Count = 0
    steps: _Count = 0
    tokens: _Count = 0
    host: str = ""
    pid: int = 0
    start_ticks: int = 0
    boot_id: str = ""
    attempt: Annotated[int, msgspec.Meta(ge=0, lt=MOST_ATTEMPTS)] = 0
    alive: int = 0
    progress: int = 0
    message: str = ""
    exit_code: Annotated[int, msgspec.Meta(ge=0, le=255)] | None = None
    updated: float = 0.0
    launched: float = 0.0

    @property
    def identity(self) -> Identity:
        return Identity(self.pid, self.start_ticks, self.boot_id, self.host)


def load_status(run: RunFolder) -> Status | None:
    """The run's status, or None when it has none. Raises Flawed when it has one that cannot be used."""
    status = load_document(run.status_file, Status, newest=SCHEMA)
    if status is not None and status.state not in (*ALIVE_STATES, *FINAL_STATES):
        raise Flawed("cannot be read: it names no state that is known here")
    return status


def read_status(run: RunFolder) -> Status | None:
    """The run's status, or None when there is none that can be used."""
    try:
        return load_status(run)
    except Flawed:
        return None


def next_attempt(run: RunFolder) -> int:
    """The number of the attempt that starts now: from 1, and never one that left records.

    A status that `spawn_trainer` wrote for a trainer which is still to come (state starting, pid 0) has it already,
    unless that trainer was seen to die before its first word.
    """
    status = read_status(run)
    known = known_attempts(read_all(run.events_file, keep=1 << 16))
    if status is not None and status.state == "starting" and status.pid == 0 and status.attempt not in known:
        return status.attempt
    return max([status.attempt if status else 0, *known]) + 1


def known_attempts(records: list[Record]) -> list[int]:
    """The numbers of attempts that records name; damaged ones are left out."""
    attempts = [record.get("attempt") for record in records]
    return [attempt for attempt in attempts if type(attempt) is int and 0 < attempt < MOST_ATTEMPTS - 1]


class StatusWriter:
    """Keeps status.json true for the process that holds the run's lock; call `finish` at the end.

    A daemon thread adds one to `alive` each second and writes, so a reader sees that the process lives even when one
    step takes minutes, and keeps the log within its bound; `update`, called by the main thread, adds one to `progress`, so it sees that work goes on.
    A full disk never ends training: `failure` says why the last write failed. Once the run's folder is another or none,
    `vanished` is true and nothing is written any more: whatever has the path now is not this process's.
    """

    def __init__(self, run: RunFolder, *, attempt: int, **first: Any) -> None:
        """`first` sets fields of Status, such as steps=1000. The file exists when this returns. Raises OSError."""
        me = Identity.mine()
        self._path, self._log = run.status_file, run.log_file
        self._home, self.vanished = _inode(run.path), False
        self._status = Status(
            pid=me.pid, start_ticks=me.start_ticks, boot_id=me.boot_id, host=me.host, attempt=attempt, **first
        )
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._written = 0.0
        self.failure = ""
        if (fault := self._write(durable=True)) is not None:
            raise OSError(fault.errno, self.failure)
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    @property
    def status(self) -> Status:
        return self._status

    def update(self, **fields: Any) -> None:
        """Set fields of Status and add one to `progress`. Cheap: the file follows within 0.1 s, or a second."""
        with self._lock:
            changed = fields.get("state", self._status.state) != self._status.state
            self._status = msgspec.structs.replace(self._status, progress=self._status.progress + 1, **fields)
            if changed or time.monotonic() - self._written >= _PAUSE:
                self._write()

    def look(self) -> bool:
        """Whether the run's folder is another or none by now; `vanished` then stays true."""
        self.vanished = self.vanished or _moved(self._path.parent, self._home)
        return self.vanished

    def finish(self, state: str, exit_code: int, message: str = "") -> None:
        """Write the last word and end the heartbeat. A second call changes nothing."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._thread.join()
        with self._lock:
            self._status = msgspec.structs.replace(
                self._status, state=state, phase="ended", exit_code=exit_code, message=message
            )
            self._write(durable=True)

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT):
            with self._lock:
                self._status = msgspec.structs.replace(self._status, alive=self._status.alive + 1)
                self._write()
            cap_log(self._log)

    def _write(self, *, durable: bool = False) -> OSError | None:
        """Why it could not be written, None when it was."""
        fault = None
        self._status = msgspec.structs.replace(self._status, updated=time.time())
        try:
            if self.look():
                return None
            write_document(self._path, self._status, durable=durable)
            self.failure = ""
        except OSError as error:
            fault, self.failure = error, error.strerror or os.strerror(error.errno or 0)
        self._written = time.monotonic()
        return fault


def _inode(folder: Path) -> tuple[int, int]:
    facts = folder.stat()
    return facts.st_dev, facts.st_ino


def _moved(folder: Path, home: tuple[int, int]) -> bool:
    """Whether a folder is not the one it was; one that cannot be looked at for another reason may still be."""
    try:
        return _inode(folder) != home
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
