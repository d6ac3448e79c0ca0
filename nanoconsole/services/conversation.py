"""A conversation with one model in a worker process, told as it comes. The model is loaded when something is first said."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Literal

from nanoconsole.services.chat_settings import ChatSettings
from nanoconsole.services.models import Model
from nanocore.runs.text import sanitize, sanitize_line

if TYPE_CHECKING:
    from nanoconsole.services.workers import Worker

State = Literal["closed", "loading", "ready", "writing", "failed"]
ENDS = {"stop": "stop text", "length": "all tokens", "eos": "end of text", "cancelled": "stopped"}


@dataclass(frozen=True)
class Turn:
    """What was said and what was written; `end` says why it ended, "" while it goes on. Texts are sanitised.

    `tokens` are those written, in `seconds`, with the reading of what was said.
    """

    said: str
    reply: str = ""
    tokens: int = 0
    seconds: float = 0.0
    end: str = ""

    @property
    def speed(self) -> float | None:
        """Tokens a second; None before there is one."""
        return self.tokens / self.seconds if self.tokens and self.seconds > 0 else None


@dataclass(frozen=True)
class Talk:
    """A conversation as it stands. `computed` says what computes; `problem` why it failed; `notice` what takes long
    before the first word; `passed_over` which checkpoint was to come first and is damaged.
    """

    model: Model
    state: State = "closed"
    turns: tuple[Turn, ...] = ()
    computed: str = ""
    problem: str = ""
    notice: str = ""
    passed_over: str = ""

    @property
    def busy(self) -> bool:
        return self.state in ("loading", "writing")


class Conversation:
    """`tell` is called, in another thread, whenever `now` has changed. A worker that died can be started again by `say`."""

    def __init__(self, model: Model, tell: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.now = Talk(model)
        self._tell, self._clock = tell, clock
        self._lock = Lock()
        self._worker: Worker | None = None
        self._text = ""  # of the whole conversation, as the worker has it
        self._fresh, self._began = True, 0.0

    def say(self, line: str, settings: ChatSettings) -> None:
        """Say a line; nothing happens while a reply is being written. Blocks while a worker is started."""
        if self.now.busy:
            return
        before = settings.opening if self._fresh else self._text
        said = settings.layout.turn(line, before)
        record = {**settings.request(), "say": said, "fresh": self._fresh}
        if self._fresh or self._worker is None:  # a new worker knows nothing of the conversation
            record |= {"say": before + said, "fresh": True}
        self._text = before + said
        state: State = "writing" if self._worker else "loading"
        self._fresh, self._began = False, self._clock()
        self._set(state=state, turns=(*self.now.turns, Turn(sanitize(line))), problem="")
        self._send(record)

    def stop(self) -> None:
        """End the reply that is being written."""
        worker = self._worker
        if worker is not None and self.now.state == "writing":
            worker.send({"cancel": True})
        elif worker is not None and self.now.state == "loading":
            self.close()

    def clear(self) -> None:
        """Forget the conversation; the model stays loaded."""
        if not self.now.busy:
            self._fresh, self._text = True, ""
            self._set(turns=(), problem="", state="ready" if self._worker else "closed")

    def close(self) -> None:
        """End the worker and give its memory back; what was said can still be read and gone on from."""
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.cancel()
        self._end_turn("stopped")
        self._set(state="closed", computed="", notice="")

    def _send(self, record: dict[str, Any]) -> None:
        from nanoconsole.services.workers import Worker

        if self._worker is None:
            try:
                self._worker = Worker({"verb": "chat", **self.now.model.request()})
            except OSError as error:
                return self._fail(f"no worker could be started: {error.strerror}")
            Thread(target=self._read, args=(self._worker,), name="chat", daemon=True).start()
        return self._worker.send(record)

    def _read(self, worker: Worker) -> None:
        for answer in worker:
            if worker is self._worker:
                self._take(answer)
        if worker is self._worker:
            self._fail("the worker process ended")

    def _take(self, answer: dict[str, Any]) -> None:
        kind = answer.get("kind")
        if kind == "ready":
            self._began = self._clock()
            passed_over = sanitize_line(str(answer.get("passed_over", "")), 300)
            self._set(state="writing", computed=_computed(answer), notice="", passed_over=passed_over)
        elif kind == "text":
            self._write(str(answer.get("text", "")), answer.get("tokens"))
        elif kind == "reply":
            self._reply(answer)
        elif kind == "notice":  # compiling the kernels, say
            self._set(notice=sanitize_line(str(answer.get("text", "")), 300))
        elif kind == "error":
            self._fail(sanitize_line(str(answer.get("message", "")), 300))

    def _write(self, piece: str, tokens: object) -> None:
        turn = self.now.turns[-1]
        counted = tokens if type(tokens) is int else turn.tokens
        if self.now.notice:
            self._set(notice="")
        self._turn(reply=turn.reply + sanitize(piece), tokens=counted, seconds=self._clock() - self._began)

    def _reply(self, answer: dict[str, Any]) -> None:
        text, seconds, tokens = str(answer.get("text", "")), answer.get("seconds"), answer.get("tokens")
        self._text += text
        self._turn(
            reply=sanitize(text),
            tokens=tokens if type(tokens) is int else 0,
            seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
            end=ENDS.get(str(answer.get("finish")), "ended"),
        )
        self._set(state="ready")

    def _fail(self, problem: str) -> None:
        self._worker = None
        self._end_turn("cut off")
        self._set(state="failed", problem=problem, computed="", notice="")

    def _end_turn(self, end: str) -> None:
        if self.now.turns and not self.now.turns[-1].end:
            self._text += self.now.turns[-1].reply
            self._turn(end=end)

    def _turn(self, **changes: Any) -> None:
        """Change the newest turn."""
        if self.now.turns:
            self._set(turns=(*self.now.turns[:-1], replace(self.now.turns[-1], **changes)))

    def _set(self, **changes: Any) -> None:
        self.now = replace(self.now, **changes)
        self._tell()


def _computed(answer: dict[str, Any]) -> str:
    """`step 240 native`: what was loaded, and what computes."""
    name, backend = str(answer.get("checkpoint", "")), str(answer.get("backend", ""))
    step = name.removeprefix("step-").lstrip("0") or "0"
    return sanitize_line(f"{f'step {step}' if step.isdecimal() and name.startswith('step-') else name} {backend}", 80)
