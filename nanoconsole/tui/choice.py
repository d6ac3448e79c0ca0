"""The runs that were chosen in Runs: for actions on several at once, and for Compare."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from nanocore.runs.layout import RunFolder


@dataclass
class Choice:
    """Selected runs in the order of their selection, and the baseline that others are compared with."""

    runs: list[RunFolder] = field(default_factory=list)
    baseline: RunFolder | None = None

    def toggle(self, run: RunFolder) -> None:
        """Select a run, or select it no more."""
        if run in self.runs:
            self.runs.remove(run)
        else:
            self.runs.append(run)

    def add(self, runs: Iterable[RunFolder]) -> None:
        self.runs += [run for run in dict.fromkeys(runs) if run not in self.runs]

    def drop(self, runs: Iterable[RunFolder]) -> None:
        """Select some runs no more; a baseline among them is none."""
        gone = set(runs)
        self.runs = [run for run in self.runs if run not in gone]
        if self.baseline in gone:
            self.baseline = None

    def pin(self, run: RunFolder) -> None:
        """Make a run the baseline, or the baseline none."""
        self.baseline = None if run == self.baseline else run

    def compared(self) -> list[RunFolder]:
        """What Compare shows: the baseline first, then the selected runs."""
        return list(dict.fromkeys([*([self.baseline] if self.baseline else []), *self.runs]))
