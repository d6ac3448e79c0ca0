"""The settings of a chat: how tokens are drawn, and how turns are laid out."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from nanoconsole.services.chat_settings import SETTINGS, TEXTS, ChatSettings, Layout, escaped, parse, unescaped
from nanoconsole.tui import keys
from nanoconsole.tui.screens.dialog import Dialog
from nanoconsole.tui.widgets.bars import KeyBar
from nanoconsole.tui.widgets.value_input import TextLine


class ChatSettingsScreen(Dialog[ChatSettings | None]):
    """Dismissed with the new settings, None for escape."""

    SCOPE = "chat settings"
    CSS_PATH = "chat_settings.tcss"
    BINDINGS = [*keys.bindings("chat settings")]

    def __init__(self, settings: ChatSettings) -> None:
        super().__init__()
        self._settings = settings
        layout = settings.layout
        self._texts = {"user": layout.user, "assistant": layout.assistant, "opening": settings.opening}

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", can_focus=False):
            yield Static(Content.styled("How the next line is answered", "bold"), classes="dialog-title")
            for each in SETTINGS:
                yield from _line(each.key, each.label, f"{self._settings.numbers[each.key]:g}", each.about)
            for key, label, about in TEXTS:
                yield from _line(key, label, escaped(self._texts[key]), about)
            yield Static(id="chat-fault")
        yield KeyBar()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._judge()

    def on_input_submitted(self) -> None:
        self.action_keep()

    def _judge(self) -> dict[str, float] | None:
        """The numbers when all can be used; else the first fault is told where it is seen."""
        found, fault = {}, ""
        for each in SETTINGS:
            line = self.query_one(f"#chat-{each.key}", Input)
            value, problem = parse(each.key, line.value)
            line.set_class(bool(problem), "-bad")
            fault = fault or problem
            if value is not None:
                found[each.key] = value
        self.query_one("#chat-fault", Static).update(Content.styled(f"✗ {fault}" if fault else "", "$error"))
        return None if fault else found

    def action_keep(self) -> None:
        numbers = self._judge()
        if numbers is not None:
            texts = {key: unescaped(self.query_one(f"#chat-{key}", Input).value) for key, _, _ in TEXTS}
            self.dismiss(ChatSettings(numbers, Layout(texts["user"], texts["assistant"]), texts["opening"]))


def _line(key: str, label: str, value: str, about: str) -> ComposeResult:
    with Horizontal(classes="chat-line"):
        yield Static(Content(label), classes="chat-label")
        yield TextLine(value, id=f"chat-{key}", compact=True, select_on_focus=True)
        yield Static(Content.styled(about, "$axis"), classes="chat-about")
