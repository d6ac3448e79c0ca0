"""One run as the list of runs knows it, and the list itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nanocore.runs.layout import RunFolder
from nanocore.runs.notes import Notes
from nanocore.runs.summary import Summary


@dataclass(frozen=True)
class Listed:
    """A run in the list; every text in it is one safe line.

    `origin` names the root of a run that is not under the console's own. `trend` is the relative change of its newest
    losses, None when it cannot be told; `spark` are losses over its whole course, evenly spaced in its file.
    `last_words` is the last line of the log of a run that came to a bad end, `stall` why it gets on no more.
    `config` is None until it was asked for and read.
    """

    summary: Summary
    run: RunFolder
    trend: float | None = None
    last_words: str = ""
    origin: str = ""
    notes: Notes = field(default_factory=Notes)
    stall: str = ""
    spark: tuple[float, ...] = ()
    measures: Mapping[str, float] = field(default_factory=dict)
    config: Mapping[str, object] | None = None

    @property
    def label(self) -> str:
        """Its name, behind the name of its root where that is another one."""
        return f"{self.origin}/{self.summary.name}" if self.origin else self.summary.name

    @property
    def state(self) -> str:
        """Its state; a run that works and gets on no more is stalled."""
        return "stalled" if self.stall else self.summary.state


@dataclass(frozen=True)
class RunList:
    """All runs of the roots, newest first; `problem` says why some cannot be listed, `read` is false before the first
    look.

    `unread` runs are still to come, in the next lists; of `unread_configs` the configuration is.
    """

    root: Path
    runs: tuple[Listed, ...] = ()
    problem: str = ""
    read: bool = True
    unread: int = 0
    unread_configs: int = 0

    @property
    def working(self) -> tuple[Summary, ...]:
        """The runs a process works on."""
        return tuple(run.summary for run in self.runs if run.summary.alive)

    def find(self, run: RunFolder) -> Listed | None:
        """What is known of a run."""
        return next((listed for listed in self.runs if listed.run == run), None)
