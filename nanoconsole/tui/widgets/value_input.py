"""A line of text in a screen."""

from __future__ import annotations

from textual.widgets import Input

from nanoconsole.tui import keys


class ValueInput(Input):
    """The key bar says how to leave it."""

    KEY_SCOPE = "value"
    BINDINGS = [*keys.bindings("value")]
