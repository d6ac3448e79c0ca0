"""Keys of a widget in which text is typed, in the order in which they were pressed."""

from __future__ import annotations

from textual.events import Key
from textual.widget import Widget


async def take_own(widget: Widget, event: Key) -> None:
    """Do at once what a key of the widget's own does: backspace, an arrow, enter.

    Textual puts a character into the text where the key arrives, but lets a bound key travel to the app and back first,
    so that characters typed behind it overtake it. A key that the widget does not act on travels on.
    """
    active = None if event.is_printable else widget.screen.active_bindings.get(event.key)
    if active is None or active.node is not widget or not active.enabled:
        return
    if await widget.app.run_action(active.binding.action, widget):
        event.stop()
        event.prevent_default()
