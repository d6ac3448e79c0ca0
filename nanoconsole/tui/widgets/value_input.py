"""Where text is typed: a line or an area, whose keys have their effect in the order in which they were pressed."""

from __future__ import annotations

from textual.events import Key
from textual.widgets import Input, TextArea

from nanoconsole.tui import keys
from nanoconsole.tui.widgets.key_order import take_own


class TextLine(Input):
    """A line of text."""

    async def on_key(self, event: Key) -> None:
        await take_own(self, event)


class TextLines(TextArea):
    """Several lines of text."""

    async def on_key(self, event: Key) -> None:
        await take_own(self, event)


class ValueInput(TextLine):
    """A line of text in a screen: the key bar says how to leave it."""

    KEY_SCOPE = "value"
    BINDINGS = [*keys.bindings("value")]
