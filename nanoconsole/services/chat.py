"""The same prompts to one model or to two. They answer one after the other, so that each one's speed is its own."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock

from nanoconsole.services.chat_settings import ChatSettings
from nanoconsole.services.conversation import Conversation, Talk
from nanoconsole.services.models import Model


class Chat:
    """Up to two conversations, A and B. `tell` is called in another thread whenever one of them has changed."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self.settings = ChatSettings()  # of the next line
        self._tell = tell
        self._lock = RLock()
        self._sides: list[Conversation] = []
        self._waiting: list[Conversation] = []  # sides that are still to hear the newest line
        self._line = ""

    @property
    def talks(self) -> tuple[Talk, ...]:
        return tuple(side.now for side in self._sides)

    @property
    def busy(self) -> bool:
        return bool(self._waiting) or any(side.now.busy for side in self._sides)

    def set_model(self, place: int, model: Model | None) -> None:
        """Talk with another model as A (0) or B (1), or with no B. Its conversation begins anew."""
        with self._lock:
            old = self._sides[place : place + 1]
            self._sides[place : place + 1] = [Conversation(model, self._news)] if model else []
            self._waiting = []
        for side in old:
            side.close()
        self._tell()

    def say(self, line: str) -> None:
        """Say a line to every model, unless one of them still writes. Starts processes."""
        with self._lock:
            if self.busy or not self._sides:
                return
            self._line, self._waiting = line, list(self._sides)
        self._next()

    def stop(self) -> None:
        """End what is written, and what would be."""
        with self._lock:
            self._waiting = []
        for side in self._sides:
            side.stop()

    def clear(self) -> None:
        """Begin every conversation anew."""
        for side in self._sides:
            side.clear()

    def close(self) -> None:
        """End all workers."""
        with self._lock:
            self._waiting = []
        for side in self._sides:
            side.close()

    def _news(self) -> None:
        self._next()
        self._tell()

    def _next(self) -> None:
        """Let the next side hear the line when the one before has ended."""
        with self._lock:
            if not self._waiting or any(side.now.busy for side in self._sides):
                return
            side = self._waiting.pop(0)
        side.say(self._line, self.settings)
