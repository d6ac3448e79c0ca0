"""`nanoconsole chat`: a conversation with a base model, line by line, in a terminal or over pipes."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanoconsole.cli import model as shared
from nanoconsole.cli.options import Json, Runs, examples
from nanoconsole.cli.output import emit_line, say, write
from nanoconsole.services.chat_settings import Layout

if TYPE_CHECKING:
    from types import FrameType

    from nanoconsole.services.workers import Worker

HOW = "Ctrl-C ends a reply, Ctrl-D the chat"


def register(app: typer.Typer) -> None:
    lines = (
        "chat tiny-cpu-0001",
        "chat model.gguf --user 'Q: ' --assistant 'A: ' --text 'Questions and answers.\\n' --temperature 0.5",
        "chat tiny-cpu-0001 --tokens 40 --stop '\\n\\n' --json < lines.txt",
    )
    app.command("chat", epilog=examples(*lines))(chat)


def chat(
    context: typer.Context,
    model: shared.Model,
    user: Annotated[str, typer.Option("--user", metavar="TEXT", help="Stands before what you say, as 'Q: '.")] = "",
    assistant: Annotated[str, typer.Option("--assistant", metavar="TEXT", help="Stands before each reply.")] = "",
    text: Annotated[str, typer.Option("--text", metavar="TEXT", help="What the conversation begins with.")] = "",
    tokens: shared.Tokens = 200,
    temperature: shared.Temperature = 0.8,
    top_k: shared.TopK = 50,
    top_p: shared.TopP = 1.0,
    min_p: shared.MinP = 0.0,
    repetition_penalty: shared.Penalty = 1.0,
    repetition_window: shared.Window = 64,
    seed: shared.Seed = 0,
    stop: shared.Stop = None,
    speculate: shared.Speculate = False,
    exit_threshold: shared.ExitThreshold = None,
    backend: shared.BackendName = "auto",
    threads: shared.Threads = 0,
    step: shared.Step = "latest",
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Talk with a run's checkpoint or an exported model.

    These are base models: they know no chat format, they continue text. The conversation is one text; each line you
    type is added to it, and the model goes on. With --user and --assistant each turn begins with that prefix, and a reply
    ends where the model begins yours. \\n in these texts is a line break.

    Ctrl-C ends a reply, Ctrl-D the chat. Without a terminal each line of stdin is a turn, and stdout has the replies.

    With --json: lines of kind "text" with the pieces, then one of kind "reply" for each turn.
    """
    layout = Layout(*(shared.plain_text(*each) for each in ((user, "--user"), (assistant, "--assistant"))))
    begun = shared.plain_text(text, "--text")
    request = (
        shared.writing("chat", context.params, layout.stops()) | shared.source(model, step, runs) | {"text": begun}
    )
    _converse(request, layout, begun, _Printer(as_json=json), model)


def _converse(request: dict[str, Any], layout: Layout, text: str, printer: _Printer, model: str) -> None:
    from nanoconsole.services.workers import Worker

    worker = Worker(request)
    try:
        ready = _until("ready", worker, printer)
        say(f"{shared.computed(model, ready)}; {HOW}")
        for line in _lines():
            text = layout.turn(line, text)
            worker.send({"say": text})
            with _interrupts(lambda: worker.send({"cancel": True})):
                text = _until("reply", worker, printer)["text"] or text
    finally:
        worker.cancel()


def _until(kind: str, worker: Worker, printer: _Printer) -> dict[str, Any]:
    """The next answer of a kind; all answers are printed. Raises the worker's error, and NanoError when it is gone."""
    from nanocore.errors import NanoError

    while (answer := worker.next()) is not None:
        shared.raise_error(answer)
        if shared.noticed(answer):
            continue
        printer(answer)
        if answer["kind"] == kind:
            return answer
    raise NanoError("the worker process ended without an answer")


def _lines() -> Iterator[str]:
    """What is said: typed behind a prompt, or the lines of a pipe."""
    if not sys.stdin.isatty():
        for line in sys.stdin.buffer:
            yield line.decode("utf-8", "replace").rstrip("\r\n")
        return
    import readline  # noqa: F401, gives `input` its line editing

    prompt = "> " if sys.stdout.isatty() else ""  # else it would stand among the replies
    while True:
        try:
            yield input(prompt)
        except KeyboardInterrupt:
            say(f"\n{HOW}")
        except UnicodeDecodeError:
            say("that was not UTF-8 text")
        except EOFError:
            say("")
            return


class _interrupts:
    """While this holds, Ctrl-C only calls `act`, once."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act: Callable[[], None] | None = act

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGINT, self._handle)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        act, self._act = self._act, None
        if act is not None:
            act()


class _Printer:
    """Pieces as they come, and a line's end after each reply; with `as_json` every answer as a line.

    The first time that the conversation has outgrown the context, that is said.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json, self._last, self._cut = as_json, "", False

    def __call__(self, answer: dict[str, Any]) -> None:
        self._print(answer)
        if answer["kind"] == "reply" and not self._cut and (line := shared.cut_line(answer, "the conversation")):
            say(f"{line}, and so on from here")
            self._cut = True

    def _print(self, answer: dict[str, Any]) -> None:
        if self._as_json:
            emit_line(answer)
        elif answer["kind"] == "text":
            write(answer["text"])
            self._last = answer["text"]
        elif answer["kind"] == "reply" and not self._last.endswith("\n"):
            write("\n")
