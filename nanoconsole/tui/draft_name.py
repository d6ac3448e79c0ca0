"""Where the next run of Launch is made, how it is called, and which checkpoint it begins with."""

from __future__ import annotations

from pathlib import Path

from textual.widgets import Input

from nanoconsole.tui.draft_screen import DraftScreen
from nanocore.runs.layout import NAME_RULE, valid_name
from nanocore.runs.text import sanitize_line

UNNAMED = "name of the run (given automatically when empty)"


class DraftName(DraftScreen):
    """The line with the next run's name, and what a fork begins with."""

    origin = ""  # RUN@STEP when the next run begins with a checkpoint
    family: Path | None = None  # the root of that run, where its forks lie too
    name_fault = ""  # why the name will be refused

    @property
    def root(self) -> Path:
        """Where the next run is made: beside the run it begins with, else in the console's own root."""
        return self.family or self.console.root

    @property
    def elsewhere(self) -> bool:
        """Whether that is not the console's own root."""
        return self.root.absolute() != self.console.root.absolute()

    @property
    def name_line(self) -> Input:
        return self.query_one("#run-name", Input)

    def begin_with(self, origin: str, family: Path | None) -> None:
        """The next run begins with the checkpoint `origin`, RUN@STEP, of a run in `family`; "" for none."""
        self.origin, self.family = origin, family if origin else None
        where = f", in {sanitize_line(self.root.name)}" if self.elsewhere else ""
        self.name_line.placeholder = f"name of the run, which begins with {origin}{where}" if origin else UNNAMED

    def begin_anew(self) -> None:
        """A run was made: the next one has no name yet, and begins with no checkpoint."""
        self.name_line.clear()
        self.begin_with("", None)

    def judge_name(self) -> bool:
        """Mark a name that will be refused, with the reason where faults stand; whether it is good."""
        line = self.name_line
        name = line.value.strip()
        taken = valid_name(name) and (self.root / name).exists()
        fault = "a run of this name exists" if taken else f"use {NAME_RULE}" if name and not valid_name(name) else ""
        line.set_class(bool(fault), "-bad")
        self.name_fault = fault and f"the run's name: {fault}"
        self.explain()
        return not fault
