"""Named points where a test can end or break the process: NANO_FAIL=name[:n[:action]], at the n-th passage.

Actions: kill (SIGKILL, the default), abort, segv, raise, enospc, eio, hang. Without NANO_FAIL a passage costs one
comparison.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import time
from collections.abc import Callable


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _fail() -> None:
    raise RuntimeError("failpoint reached")


def _error(number: int) -> Callable[[], None]:
    def act() -> None:
        raise OSError(number, os.strerror(number))

    return act


ACTIONS: dict[str, Callable[[], object]] = {
    "kill": _kill,
    "abort": os.abort,
    "segv": lambda: ctypes.string_at(0),
    "raise": _fail,
    "enospc": _error(errno.ENOSPC),
    "eio": _error(errno.EIO),
    "hang": lambda: time.sleep(3600),
}


class _Armed:
    """The one failpoint named by the environment, and how many passages it still lets through."""

    def __init__(self, text: str) -> None:
        name, _, rest = text.partition(":")
        count, _, action = rest.partition(":")
        self.name, self.left, self.act = name, int(count or 1), ACTIONS[action or "kill"]

    def passed(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.act()


_armed: _Armed | None = None


def arm(text: str) -> None:
    """Arm the failpoint that `text` names, as NANO_FAIL does at start; "" disarms."""
    global _armed
    _armed = _Armed(text) if text else None


def failpoint(name: str) -> None:
    """Mark a step that a test may break."""
    if _armed is not None and _armed.name == name:
        _armed.passed()


arm(os.environ.get("NANO_FAIL", ""))
