"""One run as it was read for the list, and what of it has to be read again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from nanoconsole.services.listed import Listed
from nanoconsole.services.run_listing import Stamp, stamp
from nanoconsole.services.spark import course
from nanoconsole.services.trend import trend
from nanocore.runs.facts import RunFacts, read_facts
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import RunState, observe
from nanocore.runs.log import last_lines
from nanocore.runs.notes import read_notes
from nanocore.runs.stall import StallWatch
from nanocore.runs.status import FAILED_STATES, FINAL_STATES
from nanocore.runs.summary import Measured, read_measured, summary_of
from nanocore.runs.text import sanitize_line


class Stamps(NamedTuple):
    """The stamps of everything that a row of the list is made of.

    `folder` changes with every file that is replaced as a whole: status, run.json, notes and configuration.
    """

    folder: Stamp
    facts: Stamp
    status: Stamp
    metrics: Stamp
    events: Stamp
    notes: Stamp
    log: Stamp
    config: Stamp

    @classmethod
    def of(cls, run: RunFolder) -> Stamps:
        """The stamps of now."""
        return cls(
            folder=stamp(run.path),
            facts=stamp(run.run_file),
            status=stamp(run.status_file),
            metrics=stamp(run.metrics_file),
            events=stamp(run.events_file),
            notes=stamp(run.notes_file),
            log=stamp(run.log_file),
            config=stamp(run.config_file),
        )


@dataclass
class Known:
    """What was read of a run, and the stamps of the files it was read from.

    `ended` says that its trainer itself had said how it ended, when the run was read for the first time; a death without
    a word is told from more than the run's files.
    """

    listed: Listed
    facts: RunFacts
    measured: Measured
    stamps: Stamps
    stalls: StallWatch
    ended: bool = False

    @property
    def resting(self) -> bool:
        """Whether nobody works on it: then nothing changes without a file in its folder being replaced."""
        return not self.listed.summary.alive and self.listed.summary.state != "starting"


def read_first(run: RunFolder, origin: str) -> Known:
    """Read a run for the first time. The stamps are taken before, so that a change meanwhile is seen later."""
    stamps = Stamps.of(run)
    facts, measured = read_facts(run), read_measured(run)
    state, stalls = observe(run), StallWatch()
    if state.alive and state.status:
        stalls.see(state.status)
    listed = Listed(
        summary_of(run.name, state, facts, measured),
        run,
        trend(measured.losses),
        _last_words(run, state),
        origin,
        read_notes(run),
        "",
        course(run),
        measured.newest,
    )
    ended = not state.alive and state.status is not None and state.status.state in FINAL_STATES
    return Known(listed, facts, measured, stamps, stalls, ended)


def read_again(run: RunFolder, known: Known) -> Known:
    """Look at a run that is known: the same object when it rests and nothing in its folder was replaced."""
    if known.resting and stamp(run.path) == known.stamps.folder:
        return known
    before, stamps = known.stamps, Stamps.of(run)
    facts = known.facts if stamps.folder == before.folder else read_facts(run)
    grown = stamps.metrics != before.metrics
    measured = read_measured(run) if grown else known.measured
    listed = _now(run, observe(run), facts, measured, known)
    if grown:
        listed = replace(listed, trend=trend(measured.losses), spark=course(run))
    if stamps.folder != before.folder:
        listed = replace(listed, notes=read_notes(run))
    if stamps.config != before.config:
        listed = replace(listed, config=None)
    listed = known.listed if listed == known.listed else listed
    return Known(listed, facts, measured, stamps, known.stalls)


def _now(run: RunFolder, state: RunState, facts: RunFacts, measured: Measured, known: Known) -> Listed:
    """A run that is known, in its state of now."""
    summary = summary_of(run.name, state, facts, measured)
    stall = known.stalls.see(state.status) if state.alive and state.status else None
    words = known.listed.last_words if summary.state == known.listed.summary.state else _last_words(run, state)
    return replace(
        known.listed,
        summary=summary,
        last_words=words,
        stall=stall.text if stall else "",
        measures=measured.newest,
    )


def _last_words(run: RunFolder, state: RunState) -> str:
    """The last line of the log of a run that came to a bad end."""
    lines = last_lines(run.log_file, 1) if state.state in FAILED_STATES else []
    return sanitize_line(lines[0]) if lines else ""
