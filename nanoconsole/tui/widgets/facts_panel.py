"""What a run's techniques are, keep and did: wrapped in their column, nothing when there is nothing to say."""

from __future__ import annotations

import textwrap

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from nanoconsole.services.history import History
from nanoconsole.services.run_facts import RunFacts
from nanoconsole.services.techniques import numbers

INDENT = 16  # the column of the words


class FactsPanel(Widget):
    """Stands over the log, which says the same in the order of time."""

    def __init__(self) -> None:
        super().__init__()
        self._facts: list[tuple[str, str]] = []
        self.display = False

    def show(self, facts: RunFacts, history: History) -> None:
        found = [*facts.lines(), *numbers(history.last)]
        if found != self._facts:
            self._facts = found
            self.display = bool(found)
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return self._lines(width).get_height({}, width)

    def render(self) -> Content:
        return self._lines(self.size.width)

    def _lines(self, width: int) -> Content:
        return Content("\n").join(_fact(label, words, width) for label, words in self._facts)


def _fact(label: str, words: str, width: int) -> Content:
    text = textwrap.fill(words, max(10, width - INDENT), subsequent_indent=" " * INDENT)
    return Content.assemble((f"{label:<{INDENT - 1}} ", "$axis"), text)
