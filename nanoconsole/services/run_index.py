"""The list of runs kept true at little cost: what changed is read again, in portions, and what rests is rarely asked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nanoconsole.services.configs import read_flat
from nanoconsole.services.listed import Listed, RunList
from nanoconsole.services.run_listing import Listing, Stamp, stamp
from nanoconsole.services.spark import course
from nanoconsole.services.trend import trend
from nanocore.runs.facts import RunFacts, read_facts
from nanocore.runs.layout import RunFolder, list_runs
from nanocore.runs.liveness import RunState, observe
from nanocore.runs.log import last_lines
from nanocore.runs.notes import read_notes
from nanocore.runs.stall import StallWatch
from nanocore.runs.summary import Measured, Summary, read_measured, summary_of
from nanocore.runs.text import sanitize_line

PORTION = 0.1  # seconds of reading runs that are new or changed, before the list is told
RESTING = 256  # runs nobody works on that are asked in one look whether they changed
BAD_ENDS = ("crashed", "diverged")


@dataclass
class Known:
    """What was read of a run, and the stamps of the files it was read from.

    `folder` changes with every file that is replaced as a whole: status, run.json, notes and configuration.
    """

    listed: Listed
    facts: RunFacts
    measured: Measured
    folder: Stamp
    metrics: Stamp
    config: Stamp
    stalls: StallWatch

    @property
    def resting(self) -> bool:
        """Whether nobody works on it: then nothing changes without a file in its folder being replaced."""
        return not self.listed.summary.alive and self.listed.summary.state != "starting"


class RunIndex:
    """The runs of some roots. One thread calls `look`; each call reads for at most about `PORTION` seconds.

    Runs at work are observed at each look, and their metrics read when they grew; a run at rest is read once, and again
    when a file in its folder was replaced.
    """

    def __init__(self, root: Path, others: Sequence[Path] = ()) -> None:
        self._listing = Listing(root, others)
        self._root = root
        self.configs = False  # whether each run's configuration is wanted too
        self._found: dict[RunFolder, str] = {}
        self._known: dict[RunFolder, Known] = {}
        self._turns: tuple[list[RunFolder], list[RunFolder]] | None = None  # runs at work, and at rest
        self._round = 0  # how far the round through the runs at rest got
        self._changed = True
        self._told = RunList(root, read=False)

    def set_others(self, others: Sequence[Path]) -> None:
        """Roots beside the console's own."""
        self._listing = Listing(self._root, others)

    def look(self) -> tuple[RunList, bool]:
        """The list as it is now, the same object when nothing changed, and whether more of it waits to be read."""
        found = self._listing.runs()
        if found is not self._found:
            kept = {run: known for run, known in self._known.items() if found.get(run) == known.listed.origin}
            self._changed |= len(kept) < len(self._known)
            self._found, self._known, self._turns = found, kept, None
        deadline = time.monotonic() + PORTION
        self._look_again()
        unread = self._read_new(found, deadline)
        configs = self._read_configs(deadline) if self.configs else 0
        facts = (self._listing.problem, unread, configs)
        if self._changed or facts != (self._told.problem, self._told.unread, self._told.unread_configs):
            runs = sorted((known.listed for known in self._known.values()), key=_newest_first)
            self._told, self._changed = RunList(self._root, tuple(runs), facts[0], True, unread, configs), False
        return self._told, bool(unread or configs)

    def _look_again(self) -> None:
        for run in self._asked():
            before = self._known[run]
            after = self._again(run, before)
            if after is not before:
                self._known[run], self._turns = after, None
                self._changed |= after.listed is not before.listed

    def _asked(self) -> list[RunFolder]:
        """The runs at work, and the next portion of those at rest."""
        if self._turns is None:
            resting = [run for run, known in self._known.items() if known.resting]
            self._turns = [run for run, known in self._known.items() if not known.resting], resting
        working, resting = self._turns
        begin = self._round if self._round < len(resting) else 0
        self._round = begin + RESTING
        return working + resting[begin : self._round]

    def _read_new(self, found: dict[RunFolder, str], deadline: float) -> int:
        """Read runs seen for the first time, those last changed first; how many are left for the next look."""
        if len(found) == len(self._known):
            return 0
        new = [run for run in found if run not in self._known]
        new.sort(key=lambda run: stamp(run.path)[2], reverse=True)
        self._changed, self._turns = True, None
        for done, run in enumerate(new):
            if done and time.monotonic() > deadline:
                return len(new) - done
            self._known[run] = _first(run, found[run])
        return 0

    def _again(self, run: RunFolder, known: Known) -> Known:
        """Look at a run that is known."""
        folder = stamp(run.path)
        if folder == known.folder and known.resting:
            return known
        metrics, config = stamp(run.metrics_file), stamp(run.config_file)
        facts = known.facts if folder == known.folder else read_facts(run)
        grown = metrics != known.metrics
        measured = read_measured(run) if grown else known.measured
        listed = _now(run, observe(run), facts, measured, known)
        if grown:
            listed = replace(listed, trend=trend(measured.losses), spark=course(run))
        if folder != known.folder:
            listed = replace(listed, notes=read_notes(run))
        if config != known.config:
            listed = replace(listed, config=None)
        listed = known.listed if listed == known.listed else listed
        return Known(listed, facts, measured, folder, metrics, config, known.stalls)

    def _read_configs(self, deadline: float) -> int:
        """Read configurations that are missing; how many are still."""
        missing = [known for known in self._known.values() if known.listed.config is None]
        for done, known in enumerate(missing):
            if done and time.monotonic() > deadline:
                return len(missing) - done
            known.listed = replace(known.listed, config=read_flat(known.listed.run))
            self._changed = True
        return 0


def _first(run: RunFolder, origin: str) -> Known:
    """Read a run for the first time. The stamps are taken before, so that a change meanwhile is seen later."""
    folder, metrics, config = stamp(run.path), stamp(run.metrics_file), stamp(run.config_file)
    facts, measured = read_facts(run), read_measured(run)
    state, stalls = observe(run), StallWatch()
    if state.alive and state.status:
        stalls.see(state.status)
    listed = Listed(
        _one_line(summary_of(run.name, state, facts, measured)),
        run,
        trend(measured.losses),
        _last_words(run, state),
        origin,
        read_notes(run),
        "",
        course(run),
        measured.newest,
    )
    return Known(listed, facts, measured, folder, metrics, config, stalls)


def _now(run: RunFolder, state: RunState, facts: RunFacts, measured: Measured, known: Known) -> Listed:
    """A run that is known, in its state of now."""
    summary = _one_line(summary_of(run.name, state, facts, measured))
    stall = known.stalls.see(state.status) if state.alive and state.status else None
    words = known.listed.last_words if summary.state == known.listed.summary.state else _last_words(run, state)
    return replace(
        known.listed,
        summary=summary,
        last_words=words,
        stall=stall.text if stall else "",
        measures=measured.newest,
    )


def _newest_first(listed: Listed) -> tuple[float, str]:
    return (-listed.summary.created, listed.label)


def _one_line(summary: Summary) -> Summary:
    """Every text of a summary on one line, for a table."""
    texts = {key: sanitize_line(getattr(summary, key)) for key in ("state", "phase", "preset", "message")}
    return replace(summary, **texts)


def _last_words(run: RunFolder, state: RunState) -> str:
    """The last line of the log of a run that came to a bad end."""
    lines = last_lines(run.log_file, 1) if state.state in BAD_ENDS else []
    return sanitize_line(lines[0]) if lines else ""


def read_list(root: Path, *, configs: bool = False) -> list[Listed]:
    """Every run of a root, newest first, read at once. Raises UsageError when it cannot be listed."""
    runs = [_first(run, "").listed for run in list_runs(root)]
    if configs:
        runs = [replace(run, config=read_flat(run.run)) for run in runs]
    return sorted(runs, key=_newest_first)
