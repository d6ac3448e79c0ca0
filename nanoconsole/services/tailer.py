"""One thread that looks at every run: the list of runs always, and closely at the one that is opened."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nanoconsole.services.trend import trend
from nanocore.errors import NanoError
from nanocore.runs.curve import newest_attempts, value
from nanocore.runs.layout import RunFolder, list_runs
from nanocore.runs.log import last_lines
from nanocore.runs.records import read_all
from nanocore.runs.status import FINAL_STATES
from nanocore.runs.summary import Summary, summarize
from nanocore.runs.text import sanitize_line

if TYPE_CHECKING:
    from nanoconsole.services.watched import RunUpdate, WatchedRun

INTERVAL = 1.0  # seconds between looks
TREND_BYTES = 1 << 15  # of the end of the metrics, from which the trend is told
BAD_ENDS = ("crashed", "diverged")
TELL_EVERY = 0.25  # least seconds between two updates while a long history is read

Signature = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Listed:
    """A run in the list; `trend` is the relative change of its newest losses, None when it cannot be told.

    `last_words` is the last line of the log of a run that came to a bad end.
    """

    summary: Summary
    trend: float | None
    last_words: str = ""


@dataclass(frozen=True)
class RunList:
    """All runs of a root, newest first; `problem` says why they cannot be listed, `read` is false before the first look."""

    root: Path
    runs: tuple[Listed, ...] = ()
    problem: str = ""
    read: bool = True

    @property
    def working(self) -> tuple[Summary, ...]:
        """The runs a process works on."""
        return tuple(run.summary for run in self.runs if run.summary.alive)


class RunFollower:
    """Polls in a thread of its own and hands results to two callbacks, called in that thread.

    `on_list` gets a new list only when something in it changed, `on_run` every look at the watched run, and
    `on_failure` an error that nobody expected, after which nothing more is told.
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
        self._known: dict[str, tuple[Signature, Listed]] = {}
        self._told: RunList | None = None
        self._told_run = 0.0
        self._watched: WatchedRun | None = None
        self._wanted: RunFolder | None = None
        self._wake, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._loop, name="run follower", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; no callback is called after this returns."""
        self._ended.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def watch(self, run: RunFolder | None) -> None:
        """Look closely at another run, or (None) at none. Its whole history is read anew."""
        self._wanted = run
        self._wake.set()

    def look(self) -> None:
        """Look now instead of at the next interval."""
        self._wake.set()

    def _loop(self) -> None:
        try:
            self.poll_list()
            while not self._ended.is_set():
                self._wake.clear()
                if not self.poll_run():  # else a long history is still being read
                    self.poll_list()
                    self._wake.wait(self._interval)
        except Exception as error:  # a thread that dies in silence would leave an old picture on the screen
            self._on_failure(error)

    def poll_list(self) -> None:
        """Read the list of runs; only runs whose files changed, or which are at work, are read again."""
        try:
            folders, problem = list_runs(self._root), ""
        except NanoError as error:
            folders, problem = [], str(error)
        self._known = {folder.name: self._listed(folder) for folder in folders}
        runs = sorted((listed for _, listed in self._known.values()), key=_newest_first)
        listed = RunList(self._root, tuple(runs), problem)
        if listed != self._told and not self._ended.is_set():
            self._told = listed
            self._on_list(listed)

    def _listed(self, run: RunFolder) -> tuple[Signature, Listed]:
        signature = _signature(run)
        known = self._known.get(run.name)
        if known and known[0] == signature and known[1].summary.state in FINAL_STATES:
            return known
        summary = _one_line(summarize(run))
        return signature, Listed(summary, _trend(run), _last_words(run) if summary.state in BAD_ENDS else "")

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
            self._on_run(update)
        return update.reading


def _newest_first(listed: Listed) -> tuple[float, str]:
    return (-listed.summary.created, listed.summary.name)


def _one_line(summary: Summary) -> Summary:
    """Every text of a summary on one line, for a table."""
    texts = {key: sanitize_line(getattr(summary, key)) for key in ("state", "phase", "preset", "message")}
    return replace(summary, **texts)


def _trend(run: RunFolder) -> float | None:
    records = newest_attempts(read_all(run.metrics_file, keep=TREND_BYTES))
    return trend([loss for record in records if (loss := value(record, "loss/ce")) is not None])


def _last_words(run: RunFolder) -> str:
    lines = last_lines(run.log_file, 1)
    return sanitize_line(lines[0]) if lines else ""


def _signature(run: RunFolder) -> Signature:
    """Changes whenever a file that a summary is made from does."""
    return tuple(_facts(path) for path in (run.status_file, run.metrics_file, run.run_file, run.lock_file))


def _facts(path: Path) -> tuple[int, int, int]:
    try:
        facts = path.stat()
    except OSError:
        return (0, 0, 0)
    return (facts.st_ino, facts.st_size, facts.st_mtime_ns)
