"""What other threads tell the app. Each kind is coalesced: only the newest one in the queue counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from textual.message import Message

if TYPE_CHECKING:
    from nanoconsole.services.alert_guard import Look
    from nanoconsole.services.listed import RunList
    from nanoconsole.services.watched import RunUpdate
    from nanocore.runs.layout import RunFolder

Severity = Literal["information", "working", "warning", "error"]  # working: it stands until the next one


class RunsListed(Message):
    """The list of runs changed."""

    def __init__(self, runs: RunList) -> None:
        super().__init__()
        self.runs = runs

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, RunsListed)


class RunSeen(Message):
    """The watched run was looked at."""

    def __init__(self, update: RunUpdate) -> None:
        super().__init__()
        self.update = update

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, RunSeen)


class AlertsSeen(Message):
    """Alerts changed. It is never replaced by a newer one: each tells of alerts that were just raised."""

    def __init__(self, look: Look) -> None:
        super().__init__()
        self.look = look


class FollowerFailed(Message):
    """The thread that reads the runs met an error it did not expect, and ended."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class RunLaunched(Message):
    """A trainer was started."""

    def __init__(self, run: RunFolder) -> None:
        super().__init__()
        self.run = run


class Said(Message):
    """Something to tell in the line at the bottom; `text` is one safe line."""

    def __init__(self, text: str, severity: Severity) -> None:
        super().__init__()
        self.text, self.severity = text, severity
