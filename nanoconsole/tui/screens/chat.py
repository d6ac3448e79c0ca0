"""Chat: talk with a checkpoint or a GGUF file, or say the same to two of them."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from nanoconsole.services.chat import Chat
from nanoconsole.services.chat_settings import ChatSettings, unescaped
from nanoconsole.services.conversation import Talk
from nanoconsole.services.models import NONE, Model, choices, model_of
from nanoconsole.services.targets import Target
from nanoconsole.tui import chat_words, keys
from nanoconsole.tui.screens.base import ConsoleScreen
from nanoconsole.tui.screens.chat_settings import ChatSettingsScreen
from nanoconsole.tui.screens.pick import PickScreen
from nanoconsole.tui.talking import TalkWanted
from nanoconsole.tui.widgets.value_input import TextLine
from nanocore.errors import NanoError

PANES = ("A", "B")


class SayInput(TextLine):
    """The line in which you write."""

    KEY_SCOPE = "say"
    BINDINGS = [*keys.bindings("say")]

    async def action_stop(self) -> None:
        """End what is being written; the line stays as it is."""
        await self.screen.run_action("stop")


class ChatScreen(ConsoleScreen):
    """Each model lives in a process of its own, from the first line that is said to it; it ends with the console."""

    SCOPE = "chat"
    ABOUT = (
        "Talk with a checkpoint of a run (the newest of the opened run, until you choose another), a GGUF file or a folder "
        "for transformers. "
        "These are base models: they continue text. What you say is added to it, and the model goes on; in the "
        "settings you give turns a prefix. Beside (b) stands a second model that hears the same; they answer one "
        "after the other, so that tokens a second are each one's own. \\n is a line break."
    )
    CSS_PATH = "chat.tcss"
    BINDINGS = [*keys.bindings("chat")]
    AUTO_FOCUS = ""

    class News(Message):
        """A conversation has changed."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, ChatScreen.News)

    def __init__(self) -> None:
        super().__init__()
        self.chat = Chat(self._tell)
        self._own = False  # whether the model was chosen, not taken from the opened run
        self._shown: tuple[Talk, ...] = ()

    def compose_body(self) -> ComposeResult:
        yield Static(Content.assemble(chat_words.no_model()), id="chat-empty")
        with Horizontal(id="chat-body"):
            for name in PANES:
                with VerticalScroll(id=f"chat-{name}", can_focus=False):
                    yield Static()
        yield Static(id="chat-settings-line")
        yield SayInput(placeholder="what you say; enter sends it", compact=True, select_on_focus=False)

    def on_mount(self) -> None:
        self._draw()

    def on_unmount(self) -> None:
        self.chat.close()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        talks, run = self.chat.talks, self.console.opened
        unused = not self._own and not any(talk.turns or talk.busy for talk in talks[:1])
        if run is not None and unused and not (talks and talks[0].model.path == run.path):
            self.chat.set_model(0, Model(run.path))
        self._draw()

    def on_talk_wanted(self, event: TalkWanted) -> None:
        """Take a model that was chosen elsewhere."""
        self._take(0, event.model)

    def _tell(self) -> None:
        """In a worker's thread, or in this one."""
        self.post_message(self.News())

    def on_chat_screen_news(self) -> None:
        self._draw()

    # What is shown

    def _draw(self) -> None:
        """Show what has changed; a pane at its end stays there."""
        talks = self.chat.talks
        self.set_class(not talks, "-empty")
        self.set_class(len(talks) == len(PANES), "-two")
        for place, (name, talk) in enumerate(zip(PANES, talks, strict=False)):
            if self._shown[place : place + 1] != (talk,):
                self._draw_pane(self.query_one(f"#chat-{name}", VerticalScroll), name, talk)
        self._shown = talks
        self.query_one("#chat-settings-line", Static).update(Content.styled(self.chat.settings.words(), "$axis"))
        self.refresh_keys()

    def _draw_pane(self, pane: VerticalScroll, name: str, talk: Talk) -> None:
        at_end = pane.scroll_y >= pane.max_scroll_y - 1
        pane.border_title = Content.assemble(chat_words.title(name, talk))
        pane.query_one(Static).update(Content.assemble(chat_words.transcript(talk)))
        if at_end or talk.busy:
            self.call_after_refresh(pane.scroll_end, animate=False)

    # What can be done

    def offers(self, action: str) -> bool:
        name, talks = action.partition("(")[0], self.chat.talks
        if name == "stop":
            return self.chat.busy
        if name in ("clear", "unload"):
            some = any(talk.turns if name == "clear" else talk.computed for talk in talks)
            return some and not self.chat.busy
        return bool(talks) or (action not in ("write", "model(1)", "submit") and name != "scroll")

    def main_action(self) -> str:
        return "stop" if self.chat.busy else super().main_action()

    def action_write(self) -> None:
        if self.chat.talks:
            self.query_one(SayInput).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if self.chat.busy:
            self.console.say("a reply is being written; ^g ends it", "warning")
        elif event.value and self.chat.talks:
            line = unescaped(event.value)
            event.input.clear()
            self.run_worker(lambda: self.chat.say(line), thread=True, group="chat")

    def step_out(self) -> bool:
        """Escape leaves the line."""
        if self.focused is None:
            return False
        self.set_focus(None)
        return True

    def action_stop(self) -> None:
        self.run_worker(self.chat.stop, thread=True, group="chat stop")

    def action_clear(self) -> None:
        if self.offers("clear"):
            self.chat.clear()

    def action_unload(self) -> None:
        if self.offers("unload"):
            self.run_worker(self.chat.close, thread=True, group="chat stop")

    def action_scroll(self, by: int) -> None:
        for pane in self.query(VerticalScroll):
            pane.scroll_relative(y=by, animate=False)

    def action_settings(self) -> None:
        self.app.push_screen(ChatSettingsScreen(self.chat.settings), self._use)

    def _use(self, settings: ChatSettings | None) -> None:
        if settings is not None:
            self.chat.settings = settings
            self._draw()

    def action_model(self, place: int) -> None:
        """List the models in a thread, then let one be chosen."""
        if place > len(self.chat.talks):
            return
        runs, title = list(self.console.run_list.runs), f"Model {PANES[place]}"

        def find() -> None:
            known = [*([NONE] if place else []), *choices(runs)]
            self.app.call_from_thread(self._ask, place, title, known)

        self.run_worker(find, thread=True, group="models")

    def _ask(self, place: int, title: str, known: list[Target]) -> None:
        screen = PickScreen(
            title,
            known,
            "words of a run or step, or a path: GGUF file, exported folder",
            "model at this path",
        )
        self.app.push_screen(screen, lambda text: self._choose(place, text))

    def _choose(self, place: int, text: str | None) -> None:
        if text is None:
            return
        try:
            self._take(place, model_of(text, self.console.root) if text else None)
        except NanoError as error:
            self.console.say(str(error), "error")

    def _take(self, place: int, model: Model | None) -> None:
        self._own = self._own or place == 0
        self.run_worker(lambda: self.chat.set_model(place, model), thread=True, group="models")
