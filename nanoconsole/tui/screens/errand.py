"""What the dialogs share that let a worker process do something to runs: a line that tells how far it is, or why not."""

from __future__ import annotations

from threading import Thread
from typing import Any, TypeVar

from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from nanoconsole.services.upkeep import Answer, Errand, progress_words
from nanoconsole.tui.screens.dialog import Dialog
from nanoconsole.tui.widgets.bars import KeyBar
from nanocore.errors import NanoError

Result = TypeVar("Result")


class ErrandScreen(Dialog[Result]):
    """Closing it ends the work, and nothing half-made stays. It composes a Static with the id `errand`."""

    CSS_PATH = "errand.tcss"

    class Told(Message):
        """An answer of the worker."""

        def __init__(self, answer: Answer) -> None:
            super().__init__()
            self.answer = answer

    class Over(Message):
        """The worker has ended; `problem` says what went wrong, "" when nothing did."""

        def __init__(self, problem: str) -> None:
            super().__init__()
            self.problem = problem

    def __init__(self) -> None:
        super().__init__()
        self._errand: Errand | None = None

    @property
    def working(self) -> bool:
        return self._errand is not None

    def begin(self, request: dict[str, Any], words: str) -> None:
        """Let a worker do it, and tell that it does."""
        self._errand = errand = Errand(request)
        self.tell(words)
        self.run_worker(lambda: self._work(errand), thread=True, group="errand")

    def _work(self, errand: Errand) -> None:
        """In a thread."""
        problem = ""
        try:
            errand.run(lambda answer: self.post_message(self.Told(answer)))
        except NanoError as error:
            problem = str(error)
        self.post_message(self.Over(problem))

    def on_unmount(self) -> None:
        if self._errand is not None:
            Thread(target=self._errand.end, name="end of errand").start()

    def on_errand_screen_told(self, message: Told) -> None:
        if not self.is_current:  # it was closed while the answer came
            return
        if message.answer["kind"] == "progress":
            self.tell(progress_words(message.answer))
        else:
            self.take(message.answer)

    def on_errand_screen_over(self, message: Over) -> None:
        self._errand = None
        if not self.is_current:
            return
        if message.problem:
            self.tell(message.problem, bad=True)
        self.over(message.problem)
        self.query_one(KeyBar).refresh()

    def take(self, answer: Answer) -> None:
        """An answer that is no progress."""
        raise NotImplementedError

    def over(self, problem: str) -> None:
        """The work has ended."""

    def tell(self, words: str, *, bad: bool = False) -> None:
        """Put words into the line."""
        mark, style = ("✗ ", "$error") if bad else ("◐ ", "$primary")
        self.query_one("#errand", Static).update(Content.assemble((mark, style), (words, style if bad else "$axis")))
