"""A worker process that a test speaks for: what it was asked is kept, what it answers is put."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

from textual.pilot import Pilot

from nanocore.errors import NanoError
from nanocore.worker.__main__ import _call
from nanocore.worker.channel import Channel
from tests.tui.scenes import seen

Answer = dict[str, Any]


class FakeWorker:
    """Stands in for nanoconsole.services.workers.Worker; the newest one is `made[-1]`."""

    made: list[FakeWorker] = []

    def __init__(self, request: Answer) -> None:
        self.request, self.sent, self.cancelled = request, list[Answer](), False
        self._answers: queue.Queue[Answer | None] = queue.Queue()
        self.made.append(self)

    def __iter__(self) -> Iterator[Answer]:
        while (answer := self._answers.get()) is not None:
            yield answer
            self._answers.task_done()
        self._answers.task_done()

    def send(self, record: Answer) -> None:
        self.sent.append(record)

    def cancel(self) -> None:
        self.cancelled = True
        self._answers.put(None)

    def answer(self, *answers: Answer | None) -> None:
        """Let the console read these; returns when it has. None is its end."""
        for answer in answers:
            self._answers.put(answer)
        self._answers.join()


def ready(checkpoint: str = "step-00000240") -> Answer:
    return {"kind": "ready", "checkpoint": checkpoint, "backend": "native", "reason": ""}


def text(piece: str, tokens: int) -> Answer:
    return {"kind": "text", "text": piece, "tokens": tokens}


def reply(text: str, tokens: int, seconds: float, finish: str = "length") -> Answer:
    return {"kind": "reply", "text": text, "tokens": tokens, "seconds": seconds, "finish": finish}


async def settled(pilot: Pilot[None], *keys: str) -> str:
    """Press keys, let what works in threads end; the screen's text."""
    for key in keys:
        await pilot.press(key)
        await pilot.app.workers.wait_for_complete()
    await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    return await seen(pilot)


async def appeared(pilot: Pilot[None], awaited: str, *keys: str) -> str:
    """Press keys; the screen's text as soon as `awaited` stands in it, at the latest after ten seconds."""
    shown = await settled(pilot, *keys)
    deadline = time.monotonic() + 10
    while awaited not in shown and time.monotonic() < deadline:
        shown = await settled(pilot)
    return shown


class WorkerHere:
    """Does what a worker process would, in the thread that listens to it."""

    def __init__(self, request: Answer) -> None:
        self._request = request

    def __iter__(self) -> Iterator[Answer]:
        channel = Answers()
        try:
            _call(self._request, cast("Channel", channel))
        except NanoError as error:
            kind = type(error).__name__
            channel.answer({"kind": "error", "type": kind, "message": str(error), "exit_code": error.exit_code})
        yield from channel.found

    def cancel(self) -> None:
        """It has ended, or ends by itself."""


class Answers:
    """Stands in for the channel of a worker."""

    def __init__(self) -> None:
        self.found: list[Answer] = []

    def answer(self, record: Answer) -> None:
        self.found.append(json.loads(json.dumps(record)))

    def listen(self) -> None:
        """Nothing more is said."""

    def on_end(self, act: Callable[[], None]) -> None:
        """It does not end early."""
