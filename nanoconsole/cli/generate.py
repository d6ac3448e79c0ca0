"""`nanoconsole generate`: text from a run's checkpoint, made by a worker process."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nanoconsole.cli.options import Json, Run, Runs, examples
from nanoconsole.cli.output import emit_line, say, write


def register(app: typer.Typer) -> None:
    lines = (
        "generate tiny-cpu-0001 --prompt 'def '",
        "generate tiny-cpu-0001 --prompt 'class Queue:' --tokens 200 --temperature 0.5 --seed 7",
        "generate tiny-cpu-0001 --prompt 'import ' --step 400 --json",
    )
    app.command("generate", epilog=examples(*lines))(generate)


def generate(
    run: Run,
    prompt: Annotated[str, typer.Option("--prompt", help="The text to go on from.")],
    tokens: Annotated[int, typer.Option("--tokens", min=1, max=1_000_000, help="Most tokens to add.")] = 200,
    temperature: Annotated[float, typer.Option("--temperature", min=0, max=10, help="0 takes the likeliest.")] = 0.8,
    top_k: Annotated[int, typer.Option("--top-k", min=0, help="Only the k likeliest; 0 means all.")] = 50,
    top_p: Annotated[float, typer.Option("--top-p", min=0, max=1, help="Only the likeliest that sum to this.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same text.")] = 0,
    step: Annotated[int | None, typer.Option("--step", min=0, help="Checkpoint to use; else the last.")] = None,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Write text with a run's checkpoint.

    Prints the prompt and what the model goes on to write, as it is written.

    With --json: lines of kind "text" with the pieces, then one of kind "done" with the whole text.
    """
    from nanocore.runs.layout import find_run, run_root

    folder = find_run(run_root(runs), run)
    _check_text(prompt)
    request = {"verb": "generate", "run": str(folder.path), "step": "latest" if step is None else step}
    request |= {"prompt": prompt, "tokens": tokens, "seed": seed}
    request |= {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    if json:
        answers(request, emit_line)
        return
    text = _Text(prompt)
    try:
        done = answers(request, text)
    finally:
        text.end()
    say(f"{run} {done['checkpoint']}, {done['seconds']:.1f} s")


def _check_text(prompt: str) -> None:
    """Raise UsageError for a prompt that came as bytes which are no text: no tokenizer can encode it."""
    from nanocore.errors import UsageError

    try:
        prompt.encode()
    except UnicodeEncodeError:
        raise UsageError("is not UTF-8 text", where="--prompt", fix="give it in UTF-8") from None


def answers(request: dict[str, Any], take: Any) -> dict[str, Any]:
    """Give every answer of a worker to `take`; returns the last one. Raises the worker's error as a NanoError."""
    from nanoconsole.services.workers import Worker
    from nanocore.errors import NanoError, restored

    worker = Worker(request)
    try:
        for answer in worker:
            if answer["kind"] == "error":
                raise restored(answer["type"], answer["message"], answer["exit_code"])
            take(answer)
            if answer["kind"] == "done":
                return answer
    finally:
        worker.cancel()
    raise NanoError("the worker process ended without an answer")


class _Text:
    """Prints the prompt with the first answer, then each piece; a worker that fails before leaves stdout empty."""

    def __init__(self, prompt: str) -> None:
        self._prompt, self._begun = prompt, False

    def __call__(self, answer: dict[str, Any]) -> None:
        if not self._begun:
            write(self._prompt)
            self._begun = True
        if answer["kind"] == "text":
            write(answer["text"])

    def end(self) -> None:
        if self._begun:
            write("\n")
