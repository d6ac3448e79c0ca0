"""Leaving when the terminal is gone.

A closed terminal usually sends SIGHUP, but not to a program that is in a session without a controlling terminal; its
input then is at its end for ever, and reading it in a loop would burn a core.
"""

from __future__ import annotations

import os
import select
import sys
import threading
import time

HANGUP_EXIT = 129  # as a shell reports a process that SIGHUP ended
_INTERVAL = 1.0  # seconds


def leave_on_hangup() -> None:
    """End this process within a second of its terminal's end. There is nothing to save: training is elsewhere."""
    if sys.stdin is not None and sys.stdin.isatty():
        threading.Thread(target=_watch, args=(sys.stdin.fileno(),), name="hangup", daemon=True).start()


def _watch(descriptor: int) -> None:
    poll = select.poll()
    poll.register(descriptor, 0)  # hang-ups and errors are always reported
    while not poll.poll(0):
        time.sleep(_INTERVAL)
    os._exit(HANGUP_EXIT)
