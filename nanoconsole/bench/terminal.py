"""A program in a terminal of its own (a pty), fed with keys, its output read, its processor time and memory measured."""

from __future__ import annotations

import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from fcntl import ioctl
from types import TracebackType

import psutil

from nanocore.errors import NanoError
from nanocore.runs.text import sanitize_line

PATIENCE = 60.0
SHOWN = 300  # characters of what a program that ended had painted last


class Terminal:
    """Starts `python ARGUMENTS` in a pty of a size; ends it on leaving."""

    def __init__(
        self, arguments: Sequence[str], environment: dict[str, str], size: tuple[int, int] = (160, 48)
    ) -> None:
        master, slave = os.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.started = time.monotonic()
        self._child = subprocess.Popen(
            [sys.executable, *arguments], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **environment},
        )  # fmt: skip
        os.close(slave)
        self._master = master
        self.process = psutil.Process(self._child.pid)
        self.received, self.tail = 0, b""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.send_signal(signal.SIGKILL)
        self._child.wait()
        os.close(self._master)

    def press(self, keys: str) -> float:
        """Type; returns when."""
        os.write(self._master, keys.encode())
        return time.monotonic()

    def read(self, seconds: float) -> bytes:
        """What comes within some time, at least until something does. Raises NanoError when the program ended."""
        ready, _, _ = select.select([self._master], [], [], seconds)
        try:
            block = os.read(self._master, 1 << 16) if ready else b""
        except OSError:
            last = sanitize_line(self.tail.decode(errors="replace"))[-SHOWN:]
            raise NanoError(f"a program that was measured ended by itself; it painted last: {last}") from None
        self.tail = (self.tail + block)[-2000:]
        self.received += len(block)
        return block

    def until(self, text: str, seconds: float = PATIENCE) -> float:
        """Read until a text was painted; returns when. Raises NanoError when it never was."""
        seen, end = b"", time.monotonic() + seconds
        while time.monotonic() < end:
            seen = seen[-200:] + self.read(0.5)
            if text.encode() in seen:
                return time.monotonic()
        raise NanoError(
            f"{text!r} was not painted within {seconds:.0f} s", fix="measure on a machine that is less busy"
        )

    def wait(self, condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
        """Read on until a condition holds. Raises NanoError when it never does."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise NanoError(
                    f"{what} did not come within {seconds:.0f} s", fix="measure on a machine that is less busy"
                )
            self.rest(0.2)

    def rest(self, seconds: float) -> None:
        """Read on for some time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)

    def busy(self, seconds: float) -> float:
        """Share of a core used while reading on for some time."""
        before = self.process.cpu_times()
        self.rest(seconds)
        after = self.process.cpu_times()
        used = after.user + after.system - before.user - before.system
        return max(0.0, round(used, 3)) / seconds  # counted in hundredths of a second: what is less is the floats'
