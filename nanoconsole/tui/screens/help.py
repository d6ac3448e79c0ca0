"""Help for a screen, and the keys of all screens in one list; both are made from the table of keys."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget
from textual.widgets import Static

from nanoconsole.tui import keys
from nanoconsole.tui.modes import MODES
from nanoconsole.tui.screens.base import ConsoleScreen
from nanoconsole.tui.screens.dialog import Dialog
from nanoconsole.tui.widgets.bars import KeyBar

TITLES = {
    "presets": "In the list of presets",
    "form": "In the form",
    "value": "In a line of text",
    "source": "In the TOML text (t)",
    "charts": "While charts are shown",
    "live charts": "Which charts",
    "log": "While log and sample are shown in their place (t)",
    "say": "In the line in which you write",
    "app": "Everywhere",
}

if TYPE_CHECKING:
    from nanoconsole.tui.app import ConsoleApp

INDENT = 9  # the column of the meanings
Row = tuple[str, str]  # a key or term, and what it means
ARROWS: dict[str, Row] = {
    "log": ("↑ ↓", "Scroll; also PgUp, PgDn, Home, End."),
}


class HelpScreen(Dialog[None]):
    """Dismissed by escape, ? or F1, and by escape from the list of all keys over it."""

    SCOPE = "help"
    BINDINGS = [*keys.bindings("help")]

    def __init__(self, about: ConsoleScreen) -> None:
        super().__init__()
        self._about, self._scopes = about, about.scopes()

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog"):
            yield Static(Content(self._about.ABOUT), classes="dialog-title")
            for scope in self._order():
                yield Rows(TITLES.get(scope, "On this screen"), _rows(scope, cast("ConsoleApp", self.app).keys))
            for title, terms in self._about.TERMS.items():
                yield Rows(title, terms)
        yield KeyBar()

    def _order(self) -> list[str]:
        """The screen's scopes, those of its parts even when they are not in force now."""
        return list(dict.fromkeys([*self._scopes[:-1], *keys.PARTS.get(self._about.SCOPE, ()), "app"]))

    def action_all_keys(self) -> None:
        self.app.push_screen(AllKeysScreen())


class AllKeysScreen(Dialog[None]):
    """The keys of every screen, of the parts that several have, and of the dialogs."""

    SCOPE = "all keys"
    BINDINGS = [*keys.bindings("all keys")]

    def compose(self) -> ComposeResult:
        table = cast("ConsoleApp", self.app).keys
        with VerticalScroll(classes="dialog"):
            yield Static(
                Content.assemble(("All keys", "bold"), ("  settings (,) can change them", "$axis")),
                classes="dialog-title",
            )
            for title, scope in _everywhere():
                yield Rows(title, _rows(scope, table))
        yield KeyBar()


def _everywhere() -> list[tuple[str, str]]:
    """Title and scope of every table of keys: what holds everywhere, each screen with its parts, then the dialogs."""
    titles = [(TITLES["app"], "app")]
    for mode in MODES:
        titles.append((f"{mode.number} {mode.label}", mode.name))
        titles += [(f"{mode.number} {mode.label}: {TITLES[part]}", part) for part in keys.PARTS.get(mode.name, ())]
    own = {scope for _, scope in titles}
    dialogs = dict.fromkeys(key.scope for key in keys.TABLE if key.scope not in own)
    titles += [(f"Dialog: {scope}", scope) for scope in dialogs]
    return list({scope: (title, scope) for title, scope in reversed(titles)}.values())[::-1]


def _rows(scope: str, table: keys.KeyTable) -> list[Row]:
    """The keys of a scope; what has no key is reached from the palette."""
    palette = table.shown("app.command_palette")
    arrows = [ARROWS[scope]] if scope in ARROWS else []
    listed = [
        (key.shown, key.help) if key.keys else (palette, f"{key.label}, only from there: {key.help}")
        for key in table.of(scope)
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
