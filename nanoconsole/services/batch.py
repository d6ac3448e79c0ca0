"""One action on several runs: each is tried, and what went wrong with one hinders no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nanocore.errors import NanoError
from nanocore.runs.layout import RunFolder
from nanocore.runs.notes import change_notes
from nanocore.runs.trash import Discarded, discard, restore


@dataclass
class Outcome:
    """What became of each run: the result of those done, the error of the others."""

    done: dict[RunFolder, Any] = field(default_factory=dict)
    failed: dict[RunFolder, NanoError] = field(default_factory=dict)

    def told(self, what: str) -> str:
        """One line: `3 runs archived`, with the first error and how many there are. Raises it when nothing was done."""
        if self.failed and not self.done:
            raise next(iter(self.failed.values()))
        names = [run.name for run in self.done]
        words = [f"{names[0] if len(names) == 1 else f'{len(names)} runs'} {what}"] if names else []
        if self.failed:
            more = f" (and {len(self.failed) - 1} more)" if len(self.failed) > 1 else ""
            words.append(f"{next(iter(self.failed.values()))}{more}")
        return "; ".join(words)


def each(runs: Iterable[RunFolder], act: Callable[[RunFolder], Any]) -> Outcome:
    """Act on each run in turn."""
    outcome = Outcome()
    for run in runs:
        try:
            outcome.done[run] = act(run)
        except NanoError as error:
            outcome.failed[run] = error
    return outcome


def note_all(runs: Iterable[RunFolder], **changes: Any) -> Outcome:
    """Change the notes of runs; see `change_notes`."""
    return each(runs, lambda run: change_notes(run, **changes))


def discard_all(runs: Iterable[RunFolder]) -> Outcome:
    """Move runs to the trash of their own roots; the results are where they are now.

    Forks go before the run they started from, which would otherwise be kept for them.
    """
    wanted = list(runs)
    outcome = each(wanted, lambda run: _discard(run))
    again = [run for run in outcome.failed if outcome.done]
    second = each(again, lambda run: _discard(run))
    failed = {run: error for run, error in outcome.failed.items() if run not in second.done}
    return Outcome({**outcome.done, **second.done}, {**failed, **second.failed})


def restore_all(runs: Iterable[Discarded]) -> Outcome:
    """Move runs and parts of runs out of the trash; each by its path, with the run that it is or belongs to."""
    outcome = Outcome()
    for run in runs:
        back = RunFolder(run.root / run.name)
        try:
            outcome.done[back] = restore(run)
        except NanoError as error:
            outcome.failed[back] = error
    return outcome


def _discard(run: RunFolder) -> Path:
    return discard(run.path.parent, run)
