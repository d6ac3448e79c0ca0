"""What a run's techniques are, keep and did: a line each, wrapped, nothing when there is nothing to say."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from nanoconsole.services.history import History
from nanoconsole.services.run_facts import RunFacts
from nanoconsole.services.techniques import numbers


class FactsPanel(Static):
    """Stands over the log, which says the same in the order of time."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[tuple[str, str]] = []
        self.display = False

    def show(self, facts: RunFacts, history: History) -> None:
        lines = [*facts.lines(), *numbers(history.last)]
        if lines != self._lines:
            self._lines = lines
            self.display = bool(lines)
            self.update(Content("\n").join(_line(*line) for line in lines))


def _line(label: str, words: str) -> Content:
    return Content.assemble((f"{label:<15} ", "$axis"), words)
