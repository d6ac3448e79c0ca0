"""One thread that looks at every run: the list of runs always, and closely at the one that is opened."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nanoconsole.services.listed import RunList
from nanoconsole.services.run_index import RunIndex
from nanocore.runs.layout import RunFolder

if TYPE_CHECKING:
    from nanoconsole.services.watched import RunUpdate, WatchedRun

INTERVAL = 1.0  # seconds between looks
TELL_EVERY = 0.25  # least seconds between two updates while a long history is read
PATIENCE = 0.5  # most seconds that reading waits for an update to be painted


class RunFollower:
    """Polls in a thread of its own and hands results to two callbacks, called in that thread.

    `on_list` gets a new list only when something in it changed, `on_run` every look at the watched run, and
    `on_failure` an error that nobody expected, after which nothing more is told. While a long history is read, reading
    and painting take turns: whoever was given an update calls `painted`, and only then is read on.
    """

    def __init__(
        self,
        root: Path,
        on_list: Callable[[RunList], None],
        on_run: Callable[[RunUpdate], None],
        on_failure: Callable[[Exception], None],
        *,
        interval: float = INTERVAL,
    ) -> None:
        self._root, self._interval = root, interval
        self._on_list, self._on_run, self._on_failure = on_list, on_run, on_failure
        self._index = RunIndex(root)
        self._others: tuple[Path, ...] = ()
        self._listed_others = self._others
        self._beside: Callable[[], bool] | None = None
        self._guard: Callable[[RunList], None] | None = None
        self._told: RunList | None = None
        self._told_run = 0.0
        self._watched: WatchedRun | None = None
        self._wanted: RunFolder | None = None
        self._wake, self._ended, self._painted = threading.Event(), threading.Event(), threading.Event()
        self._painted.set()
        self._thread = threading.Thread(target=self._loop, name="run follower", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; no callback is called after this returns."""
        self._ended.set()
        self._wake.set()
        self._painted.set()
        if self._thread.is_alive():
            self._thread.join()

    def watch(self, run: RunFolder | None) -> None:
        """Look closely at another run, or (None) at none. Its whole history is read anew."""
        self._wanted = run
        self._wake.set()

    def follow_roots(self, others: Sequence[Path]) -> None:
        """List the runs of further roots too."""
        self._others = tuple(others)
        self._wake.set()

    def want_configs(self) -> None:
        """Read the configuration of each run too, from now on."""
        self._index.configs = True
        self._wake.set()

    def beside(self, look: Callable[[], bool] | None) -> None:
        """Call `look` too at each interval, in this thread, and at once again while it returns True; None ends that."""
        self._beside = look
        self._wake.set()

    def guard(self, look: Callable[[RunList], None]) -> None:
        """Hand every list, changed or not, to `look` too, in this thread."""
        self._guard = look

    def set_interval(self, seconds: float) -> None:
        """Look that often from now on."""
        self._interval = seconds
        self._wake.set()

    def painting(self) -> None:
        """Say that something is on its way to the screen: no more of a long history is read until it is there."""
        self._painted.clear()

    def painted(self) -> None:
        """Say that it is on the screen."""
        self._painted.set()

    def look(self) -> None:
        """Look now instead of at the next interval."""
        self._wake.set()

    def _loop(self) -> None:
        try:
            self.poll_list()
            while not self._ended.is_set():
                self._wake.clear()
                if not (self.poll_run() or self.poll_list() or self.poll_beside()):  # else more waits to be read
                    self._wake.wait(self._interval)
        except Exception as error:  # a thread that dies in silence would leave an old picture on the screen
            self._on_failure(error)

    def poll_list(self) -> bool:
        """Read on in the list of runs and tell it when it changed; True when more of it waits to be read."""
        if self._others != self._listed_others:
            self._listed_others = self._others
            self._index.set_others(self._others)
        listed, waiting = self._index.look()
        if listed is not self._told and not self._ended.is_set():
            self._told = listed
            self._on_list(listed)
        if self._guard is not None:
            self._guard(listed)
        return waiting

    def poll_beside(self) -> bool:
        """Let whoever asked for it look; True when more waits to be read."""
        look = self._beside
        waiting = look() if look is not None else False
        if waiting:
            self._painted.wait(PATIENCE)
        return waiting

    def poll_run(self) -> bool:
        """Look at the watched run; True when more of its history waits to be read."""
        wanted = self._wanted
        if wanted is None:
            self._watched = None
            return False
        if self._watched is None or self._watched.run != wanted:
            from nanoconsole.services.watched import WatchedRun

            self._watched = WatchedRun(wanted, self._root)
        update = self._watched.poll()
        due = not update.reading or time.monotonic() - self._told_run >= TELL_EVERY
        if due and not self._ended.is_set() and self._wanted == wanted:
            self._told_run = time.monotonic()
            if update.reading:
                self.painting()
            self._on_run(update)
        if update.reading:
            self._painted.wait(PATIENCE)
        return update.reading
