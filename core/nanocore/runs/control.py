"""Commands to a trainer: one file each in the run's control folder, addressed to one attempt."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from typing import Any

import msgspec

from nanocore.errors import ResourceError, UsageError, remedy
from nanocore.runs.documents import write_whole
from nanocore.runs.layout import RunFolder
from nanocore.runs.status import read_status

SCHEMA = 1
COMMANDS = ("stop", "stop-after-checkpoint", "checkpoint", "pause", "resume", "sample", "fire")
_MAX_BYTES = 1 << 16


class _Letter(msgspec.Struct):
    """The contents of a control file."""

    schema: int
    attempt: int
    sent: float
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Command:
    """A command as the trainer receives it."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


def send(run: RunFolder, command: str, **arguments: Any) -> None:
    """Leave a command for the run's present attempt; a later one of the same name replaces it.

    Raises UsageError for an unknown command, ResourceError when it cannot be written.
    """
    if command not in COMMANDS:
        raise UsageError(f"unknown command {command!r}", fix=f"use one of {', '.join(COMMANDS)}")
    status = read_status(run)
    letter = _Letter(SCHEMA, status.attempt if status else 0, time.time(), arguments)
    temporary = f".{command}.tmp-{os.getpid()}"
    try:
        with _directory(run.control_dir) as directory:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(temporary, flags, 0o666, dir_fd=directory)
            try:
                write_whole(descriptor, msgspec.json.encode(letter))
            finally:
                os.close(descriptor)
            os.rename(temporary, command, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError as error:
        what = f"the command cannot be left for the trainer: {error.strerror}"
        raise ResourceError(what, where=run.name, fix=remedy(error)) from None


class Inbox:
    """The trainer's side: commands addressed to `attempt`, each handed out once; everything else is removed unread."""

    def __init__(self, run: RunFolder, attempt: int) -> None:
        self._path = run.control_dir
        self._attempts = range(attempt, attempt + 1)

    def go_on(self, attempt: int) -> None:
        """The same trainer begins `attempt`: what was sent to it under its earlier numbers still counts."""
        self._attempts = range(self._attempts.start, attempt + 1)

    def discard_stale(self) -> None:
        """Remove what was meant for earlier attempts; call once at start. Commands to this attempt stay."""
        for name, letter in self._letters():
            if letter is None or letter.attempt not in self._attempts:
                self._remove(name)

    def poll(self) -> list[Command]:
        """The commands since the last call, in the order they were sent."""
        found: list[tuple[float, Command]] = []
        for name, letter in self._letters():
            self._remove(name)
            if name in COMMANDS and letter is not None and letter.attempt in self._attempts:
                found.append((letter.sent, Command(name, letter.arguments)))
        return [command for _, command in sorted(found, key=lambda pair: pair[0])]

    def _letters(self) -> list[tuple[str, _Letter | None]]:
        try:
            with _directory(self._path) as directory:
                with os.scandir(directory) as entries:
                    names = [entry.name for entry in entries if not entry.name.startswith(".")]
                return [(name, _read(name, directory)) for name in names]
        except OSError:  # no folder: no commands
            return []

    def _remove(self, name: str) -> None:
        try:
            with _directory(self._path) as directory:
                os.unlink(name, dir_fd=directory)
        except OSError:  # a folder, or gone already: it is no command
            return


@contextmanager
def _directory(path: Path) -> Iterator[int]:
    """A descriptor of the control folder; a symbolic link in its place is refused with OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read(name: str, directory: int) -> _Letter | None:
    """The letter in a file, or None for links, pipes, large files, letters of a newer version and anything that is none."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return None
    try:
        if not S_ISREG(os.fstat(descriptor).st_mode):
            return None
        letter = msgspec.json.decode(os.read(descriptor, _MAX_BYTES), type=_Letter)
        return letter if letter.schema <= SCHEMA else None
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError):
        return None
    finally:
        os.close(descriptor)
