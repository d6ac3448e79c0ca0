"""What the verbs about one model share: naming it, choosing its checkpoint, how it writes, the worker's answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nanoconsole.cli import complete

Answers = Callable[[dict[str, Any]], None]
Backend = Literal["auto", "native", "torch", "cuda"]
Model = Annotated[
    str,
    typer.Argument(
        metavar="FILE|RUN",
        help="A run, the folder of a checkpoint, a GGUF file or a Hugging Face folder that was exported.",
        autocompletion=complete.models,
    ),
]
Step = Annotated[
    str,
    typer.Option("--step", metavar="N|latest|best", help="Checkpoint of a run: a step, the last, the best held-out."),
]
Tokens = Annotated[int, typer.Option("--tokens", min=1, max=1_000_000, help="Most tokens to add.")]
Temperature = Annotated[float, typer.Option("--temperature", min=0, max=10, help="0 takes the likeliest.")]
TopK = Annotated[int, typer.Option("--top-k", min=0, help="Only the k likeliest; 0 means all.")]
TopP = Annotated[float, typer.Option("--top-p", min=0, max=1, help="Only the likeliest that sum to this.")]
MinP = Annotated[float, typer.Option("--min-p", min=0, max=1, help="Only those this share as likely as the likeliest.")]
Penalty = Annotated[
    float, typer.Option("--repetition-penalty", min=0.01, max=100, help="Above 1, makes recent tokens less likely.")
]
Window = Annotated[
    int, typer.Option("--repetition-window", min=0, help="How many recent tokens that counts; 0 means the whole text.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same text.")]
Stop = Annotated[
    list[str] | None,
    typer.Option("--stop", metavar="TEXT", help="End before this text (\\n is a line break); repeatable."),
]
Speculate = Annotated[
    bool, typer.Option("--speculate", help="Let prediction heads draft tokens; slower than the native decoder alone.")
]
ExitThreshold = Annotated[
    float | None,
    typer.Option(
        "--exit-threshold",
        min=0,
        max=1,
        help="Of a looped model: a token leaves at this exit probability, in place of the trained setting.",
    ),
]
BackendName = Annotated[Backend, typer.Option("--backend", help="What computes; auto takes the fastest that can.")]
Threads = Annotated[int, typer.Option("--threads", min=0, max=1024, help="Threads to compute with; 0 chooses.")]
SETTINGS = (  # options of every verb that writes text, which the worker knows by the same names
    "tokens", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "repetition_window", "seed", "speculate",
    "exit_threshold", "backend", "threads",
)  # fmt: skip


def source(model: str, step: str, runs: Path | None) -> dict[str, Any]:
    """The part of a worker's request that names a model. Raises UsageError when there is no such thing."""
    from nanocore.checkpoint.choose import parse_step
    from nanocore.infer.locate import named
    from nanocore.runs.layout import run_root

    return {"source": str(named(model, run_root(runs))), "step": parse_step(step)}


def writing(verb: str, options: dict[str, Any], stops: Sequence[str] = ()) -> dict[str, Any]:
    """A worker's request to write text, but for the model, from a command's options by their names.

    A text ends before the strings of the option `stop`, and before `stops`, which are meant as they stand. Raises
    UsageError for more threads than processors.
    """
    from nanocore.runs.processors import refuse_threads

    refuse_threads(options["threads"])
    stop = [*unescaped(options["stop"], "--stop"), *stops]
    return {"verb": verb, "stop": stop, **{name: options[name] for name in SETTINGS}}


def cut_line(answer: dict[str, Any], what: str) -> str:
    """That the model did not read all of `what`, from an answer with a text; empty when it did."""
    tokens, cut = answer["prompt_tokens"], answer["prompt_cut"]
    read = f"the model reads {tokens - cut} at most, so the first {cut} were left out"
    return f"{what} has {tokens} tokens; {read}" if cut else ""


def unescaped(texts: list[str] | None, option: str) -> list[str]:
    """The texts of an option as `plain_text` reads them. Raises UsageError for one that is empty."""
    from nanocore.errors import UsageError

    if "" in (texts or ()):
        raise UsageError("is empty", where=option, fix="leave it out")
    return [plain_text(text, option) for text in texts or ()]


def plain_text(text: str, option: str) -> str:
    """A text with \\n, \\t and \\\\ read as line break, tab and backslash. UsageError when it is not UTF-8."""
    check_text(text, option)
    for written, meant in (("\\\\", "\0"), ("\\n", "\n"), ("\\t", "\t"), ("\0", "\\")):
        text = text.replace(written, meant)
    return text


def check_text(text: str, option: str) -> None:
    """Raise UsageError for a text that came as bytes which are no text: no tokenizer can encode it."""
    from nanocore.errors import UsageError

    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError("is not UTF-8 text", where=option, fix="give it in UTF-8") from None


def answers(request: dict[str, Any], take: Answers) -> dict[str, Any]:
    """Give every answer of a worker to `take`; returns the last one. Raises the worker's error as a NanoError.

    Its notices go to stderr instead.
    """
    from nanoconsole.services.workers import Worker
    from nanocore.errors import NanoError

    worker = Worker(request)
    try:
        for answer in worker:
            raise_error(answer)
            if noticed(answer):
                continue
            take(answer)
            if answer["kind"] == "done":
                return answer
    finally:
        worker.cancel()
    raise NanoError("the worker process ended without an answer")


def noticed(answer: dict[str, Any]) -> bool:
    """Whether an answer only tells what takes long; it then stands on stderr now."""
    from nanoconsole.cli.output import say

    if answer["kind"] == "notice":
        say(answer["text"])
    return answer["kind"] == "notice"


def raise_error(answer: dict[str, Any]) -> None:
    """Raise the NanoError that an answer carries, if it is one."""
    from nanocore.errors import restored

    if answer["kind"] == "error":
        raise restored(answer["type"], answer["message"], answer["exit_code"])


def computed(model: str, answer: dict[str, Any]) -> str:
    """`tiny-cpu-0001 step-00000100 with torch (asked for)`, from an answer that names what computed."""
    checkpoint, backend, reason = answer["checkpoint"], answer.get("backend"), answer.get("reason")
    name = model if model.rstrip("/").endswith(checkpoint) else f"{model} {checkpoint}"
    return name + (f" with {backend}" if backend else "") + (f" ({reason})" if reason else "")
