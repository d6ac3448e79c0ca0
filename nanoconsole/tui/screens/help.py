"""Help for a screen: what it shows, and every key in force, made from the table of keys."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget
from textual.widgets import Static

from nanoconsole.tui import keys
from nanoconsole.tui.screens.dialog import Dialog
from nanoconsole.tui.widgets.bars import KeyBar

ABOUT = {
    "runs": "All runs of the folder named at the top right, newest first. The arrow beside the loss says where its"
    " newest values go. Training runs in processes of their own: leaving the console never ends it.",
    "launch": "Choose a preset on the left. The form changes it: switches of techniques first, then every section."
    " Beside it stand what the model will cost and what you changed. Nothing is written until you save or launch.",
    "live": "The run you opened: four charts over its whole history, what the machine does, log and newest sample."
    " Techniques that are on add their lines to the loss, a chart and numbers; t shows what they keep and did."
    " The faint area behind a line is the lowest and highest of all points; ✕ marks values that were not finite.",
}
TITLES = {
    "presets": "In the list of presets",
    "form": "In the form",
    "value": "In a line of text",
    "charts": "While charts are shown",
    "log": "While log and sample are shown in their place (t)",
    "app": "Everywhere",
}

INDENT = 9  # the column of the meanings
Row = tuple[str, str]  # a key or term, and what it means
ARROWS: dict[str, Row] = {
    "runs": ("↑ ↓", "Go to the run above or below."),
    "log": ("↑ ↓", "Scroll; also PgUp, PgDn, Home, End."),
}
TERMS: dict[str, tuple[Row, ...]] = {
    "In the mHC chart": (
        ("gain", "Of the product of all residual maps: 1 by design, unless they are free (HC)."),
        ("back", "The same backwards: near 1 for Sinkhorn maps, shown where it is not exact."),
        ("cos", "Mean cosine between streams; 1 would mean copies."),
        ("fwd", "Norm of the streams after all layers over that before."),
        ("bwd", "The same ratio of the gradient, back through all layers."),
    ),
    "In the charts of other techniques (m)": (
        ("kept", "Share of tokens trained on; the lines are quantiles of their importance."),
        ("cosine", "Between the gradient of the kept tokens and that of all."),
        ("turns", "Times a token is expected to pass the loop."),
        ("viol.", "Largest load of an expert over the mean, less 1."),
    ),
}


class HelpScreen(Dialog[None]):
    """Dismissed by escape, ? or F1."""

    SCOPE = "help"
    BINDINGS = [*keys.bindings("help")]

    def __init__(self, scope: str, scopes: Sequence[str]) -> None:
        super().__init__()
        self._about, self._scopes = scope, scopes

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog"):
            yield Static(Content(ABOUT[self._about]), classes="dialog-title")
            for scope in self._order():
                yield Rows(TITLES.get(scope, "On this screen"), _rows(scope))
            for title, terms in TERMS.items() if self._about == "live" else ():
                yield Rows(title, terms)
        yield KeyBar()

    def _order(self) -> list[str]:
        """The screen's scopes, those of its parts even when they are not in force now."""
        return list(dict.fromkeys([*self._scopes[:-1], *keys.PARTS.get(self._about, ()), "app"]))


def _rows(scope: str) -> list[Row]:
    """The keys of a scope; what has no key is reached from the palette."""
    arrows = [ARROWS[scope]] if scope in ARROWS else []
    listed = [
        (key.shown, key.help) if key.keys else ("^p", f"{key.label}, only from there: {key.help}")
        for key in keys.of(scope)
    ]
    return [*arrows, *listed]


class Rows(Widget):
    """A title and rows whose meanings keep to their column when they are wrapped."""

    def __init__(self, title: str, rows: Sequence[Row]) -> None:
        super().__init__(classes="dialog-title help-rows")
        self._title, self._rows = title, rows

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return self._lines(width).get_height({}, width)

    def render(self) -> Content:
        return self._lines(self.size.width)

    def _lines(self, width: int) -> Content:
        lines = [Content.styled(self._title, "bold $primary")]
        for term, meaning in self._rows:
            text = textwrap.fill(meaning, max(10, width - INDENT), subsequent_indent=" " * INDENT)
            lines.append(Content.assemble((f"{term:>{INDENT - 2}}  ", "bold $accent"), text))
        return Content("\n").join(lines)
