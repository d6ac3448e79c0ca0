"""The list of runs kept true at little cost: what changed is read again, in portions, and what rests is rarely asked."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nanoconsole.services import run_cache
from nanoconsole.services.configs import read_flat
from nanoconsole.services.known_run import Known, read_again, read_first
from nanoconsole.services.listed import Listed, RunList
from nanoconsole.services.run_cache import RunCache
from nanoconsole.services.run_listing import Listing, stamp
from nanocore.runs.layout import RunFolder, list_runs

PORTION = 0.1  # seconds of reading runs that are new or changed, before anything else is looked at
TELL_EVERY = 0.5  # least seconds between two lists while more waits to be read
RESTING = 256  # runs nobody works on that are asked in one look whether they changed


class RunIndex:
    """The runs of some roots. One thread calls `look`; each call reads for at most about `PORTION` seconds.

    Runs at work are observed at each look, and their metrics read when they grew; a run at rest is read once, and again
    when a file in its folder was replaced. When a root is read for the first time, runs that ended come from its cache.
    """

    def __init__(self, root: Path, others: Sequence[Path] = ()) -> None:
        self._listing = Listing(root, others)
        self._root = root
        self.configs = False  # whether each run's configuration is wanted too
        self._found: dict[RunFolder, str] = {}
        self._known: dict[RunFolder, Known] = {}
        self._waiting: list[RunFolder] = []  # still to be read, the last changed last
        self._caches: dict[Path, RunCache] = {}  # of roots that are being read for the first time
        self._turns: tuple[list[RunFolder], list[RunFolder]] | None = None  # runs at work, and at rest
        self._round = 0  # how far the round through the runs at rest got
        self._changed = True
        self._told = RunList(root, read=False)
        self._told_at = -TELL_EVERY

    def set_others(self, others: Sequence[Path]) -> None:
        """Roots beside the console's own."""
        self._listing = Listing(self._root, others)

    def look(self) -> tuple[RunList, bool]:
        """The list as it is now, the same object when nothing changed, and whether more of it waits to be read."""
        found = self._listing.runs(reading=bool(self._waiting))
        if found is not self._found:
            self._take(found)
        deadline = time.monotonic() + PORTION
        self._look_again()
        unread = self._read_new(deadline)
        configs = self._read_configs(deadline) if self.configs else 0
        if not (unread or configs) or time.monotonic() - self._told_at >= TELL_EVERY:
            self._tell(unread, configs)
        return self._told, bool(unread or configs)

    def _tell(self, unread: int, configs: int) -> None:
        """Make the list anew if something changed."""
        facts = (self._listing.problem, unread, configs)
        if self._changed or facts != (self._told.problem, self._told.unread, self._told.unread_configs):
            runs = sorted((known.listed for known in self._known.values()), key=_newest_first)
            self._told, self._changed = RunList(self._root, tuple(runs), facts[0], True, unread, configs), False
            self._told_at, self._turns = time.monotonic(), None

    def _take(self, found: dict[RunFolder, str]) -> None:
        """Leave runs that are gone, and see which are new."""
        kept = {run: known for run, known in self._known.items() if found.get(run) == known.listed.origin}
        self._changed |= len(kept) < len(self._known)
        self._found, self._known, self._turns = found, kept, None
        self._waiting = sorted((run for run in found if run not in kept), key=lambda run: stamp(run.path)[2])
        begun = {run.path.parent for run in kept}
        self._caches = {**_caches(run for run in self._waiting if run.path.parent not in begun), **self._caches}

    def _look_again(self) -> None:
        for run in self._asked():
            before = self._known[run]
            after = read_again(run, before)
            if after is not before:
                self._known[run], self._turns = after, None
                self._changed |= after.listed is not before.listed

    def _asked(self) -> list[RunFolder]:
        """The runs at work, and, once all are read, the next portion of those at rest."""
        if self._turns is None:
            resting = [run for run, known in self._known.items() if known.resting]
            self._turns = [run for run, known in self._known.items() if not known.resting], resting
        working, resting = self._turns
        if self._waiting:
            return working
        begin = self._round if self._round < len(resting) else 0
        self._round = begin + RESTING
        return working + resting[begin : self._round]

    def _read_new(self, deadline: float) -> int:
        """Read runs seen for the first time, those last changed first; how many are left for the next look."""
        if not self._waiting:
            self._keep()
            return 0
        self._changed = True
        while self._waiting:
            run = self._waiting.pop()
            self._known[run] = _read(run, self._found[run], self._caches)
            if time.monotonic() > deadline:
                break
        return len(self._waiting)

    def _keep(self) -> None:
        """Keep what was read for the next start, once all of it has been told."""
        for cache in self._caches.values():
            cache.save()
        self._caches = {}

    def _read_configs(self, deadline: float) -> int:
        """Read configurations that are missing; how many are still."""
        missing = [known for known in self._known.values() if known.listed.config is None]
        for done, known in enumerate(missing):
            if done and time.monotonic() > deadline:
                return len(missing) - done
            known.listed = replace(known.listed, config=read_flat(known.listed.run))
            self._changed = True
        return 0


def _caches(runs: Iterable[RunFolder]) -> dict[Path, RunCache]:
    """The caches of the roots of these runs, where they are so many that it is worth it."""
    roots = Counter(run.path.parent for run in runs)
    return {root: RunCache(root) for root, count in roots.items() if count >= run_cache.FEWEST}


def _read(run: RunFolder, origin: str, caches: Mapping[Path, RunCache]) -> Known:
    """A run as it was kept, else read for the first time."""
    cache = caches.get(run.path.parent)
    known = cache.find(run, origin) if cache is not None else None
    if known is None:
        known = read_first(run, origin)
        if cache is not None:
            cache.add(run, known)
    return known


def _newest_first(listed: Listed) -> tuple[float, str]:
    return (-listed.summary.created, listed.label)


def read_list(root: Path) -> list[Listed]:
    """Every run of a root, newest first, read at once. Raises UsageError when it cannot be listed."""
    runs = list_runs(root)
    caches = _caches(runs)
    listed = [_read(run, "", caches).listed for run in runs]
    for cache in caches.values():
        cache.save()
    return sorted(listed, key=_newest_first)


def with_configs(runs: Iterable[Listed]) -> list[Listed]:
    """The runs with the configuration of each, which has to be read."""
    return [replace(run, config=read_flat(run.run)) for run in runs]
