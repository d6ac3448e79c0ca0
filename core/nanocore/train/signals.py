"""SIGINT and SIGTERM: a stop with a checkpoint, an end at once when they come again, and never a wait for nothing.

Python runs its signal handlers between two of its instructions, so one that comes while a library works (a vocabulary
is learned, a model compiled) is not heard until it returns. A thread of its own hears every signal at once. Importing
this costs no torch: signals are listened to before torch is loaded.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from nanocore.train.orders import Orders

SIGNAL_EXIT = {signal.SIGINT: 130, signal.SIGTERM: 143}
GRACE = 20.0  # seconds for a phase in which there is nothing to save
_LOOK = 0.2
_WORDS = 0.5  # seconds; two lines take milliseconds


class SignalWatch:
    """The thread, fed by the interpreter with the number of each signal as one byte of a pipe.

    The second signal ends the process. So does the first, once nothing was unsaved for GRACE seconds;
    `orders.farewell` is called before, with the exit code, to leave the last word.
    """

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._writer, False)
        self._previous = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="signals", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hear nothing more."""
        self._ended.set()
        signal.set_wakeup_fd(self._previous)
        os.close(self._writer)  # the thread reads the end of the pipe
        self._thread.join()
        os.close(self._reader)

    def _listen(self) -> None:
        heard = 0
        while byte := os.read(self._reader, 1):
            if byte[0] not in SIGNAL_EXIT:
                continue
            heard += 1
            code = SIGNAL_EXIT[signal.Signals(byte[0])]
            if heard > 1:
                self._force(signal.Signals(byte[0]).name, code)
            threading.Thread(target=self._wait, args=(code,), name="grace", daemon=True).start()

    def _force(self, name: str, code: int) -> None:
        """End now; the words about it get a moment, which a disk that does not answer cannot prolong."""
        try:
            words = threading.Thread(target=self._orders.forced, args=(name, code), name="words", daemon=True)
            words.start()
            words.join(_WORDS)
        finally:
            os._exit(code)

    def _wait(self, code: int) -> None:
        """Give the phase its time; steps that no checkpoint has are waited for as long as it takes."""
        quiet = 0.0
        while not self._ended.wait(_LOOK):
            quiet = 0.0 if self._orders.unsaved else quiet + _LOOK
            if quiet >= GRACE:
                self._orders.farewell(code)
                os._exit(code)


@contextmanager
def listening(orders: Orders) -> Iterator[None]:
    """SIGINT and SIGTERM ask for a stop with a checkpoint; a second one ends at once."""

    def ask(number: int, _frame: FrameType | None) -> None:
        orders.stop = True
        orders.exit_code = SIGNAL_EXIT[signal.Signals(number)]

    previous = {number: signal.signal(number, ask) for number in SIGNAL_EXIT}
    watch = SignalWatch(orders)
    try:
        yield
    finally:
        watch.close()
        for number, handler in previous.items():
            signal.signal(number, handler)
