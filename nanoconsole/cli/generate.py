"""`nanoconsole generate`: text from a run's checkpoint or an exported model, made by a worker process."""

from __future__ import annotations

from math import exp
from typing import Annotated, Any

import typer

from nanoconsole.cli import model as shared
from nanoconsole.cli.model import answers
from nanoconsole.cli.options import Json, Runs, examples
from nanoconsole.cli.output import emit_line, say, table, tell, write


def register(app: typer.Typer) -> None:
    lines = (
        "generate tiny-cpu-0001 --prompt 'def '",
        "generate tiny-cpu-0001 --prompt 'class Queue:' --tokens 200 --temperature 0.5 --seed 7",
        "generate tiny-cpu-0001 --prompt 'import ' --step best --stop '\\n\\n' --json",
        "generate model.gguf --prompt 'def add(' --prompt 'def sub(' --temperature 0",
    )
    app.command("generate", epilog=examples(*lines))(generate)


def generate(
    context: typer.Context,
    model: shared.Model,
    prompt: Annotated[list[str], typer.Option("--prompt", help="The text to go on from; several make several texts.")],
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
    logprobs: Annotated[
        bool, typer.Option("--logprobs", help="Then list each token with its log-probability.")
    ] = False,
    exit_threshold: shared.ExitThreshold = None,
    backend: shared.BackendName = "auto",
    threads: shared.Threads = 0,
    step: shared.Step = "latest",
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Write text with a run's checkpoint or an exported model.

    Prints the prompt and what the model goes on to write, as it is written; of several prompts each text when all are
    done. Of a prompt that is longer than the model's context only the end is read, which is said on stderr.

    With --json: lines of kind "text" with the pieces, then one of kind "done" with the whole text.
    """
    request = shared.writing("generate", context.params) | shared.source(model, step, runs) | {"logprobs": logprobs}
    for text in prompt:
        shared.check_text(text, "--prompt")
    request |= {"prompt": prompt[0]} if len(prompt) == 1 else {"prompts": prompt}
    done = _written(request, prompt, as_json=json)
    _say_cuts(done)
    if not json:
        _list_logprobs(done)
        say(f"{shared.computed(model, done)}, {done['seconds']:.1f} s{_drafted(done)}")


def _written(request: dict[str, Any], prompt: list[str], *, as_json: bool) -> dict[str, Any]:
    """Print what the worker answers, and return its last answer."""
    if as_json:
        return answers(request, emit_line)
    printed = _Text(prompt[0]) if len(prompt) == 1 else _Texts(prompt)
    try:
        return answers(request, printed)
    finally:
        printed.end()


def _say_cuts(done: dict[str, Any]) -> None:
    for index, text in enumerate(done.get("texts", [done])):
        if line := shared.cut_line(text, f"prompt {index + 1}" if "texts" in done else "the prompt"):
            say(line)


def _list_logprobs(done: dict[str, Any]) -> None:
    """Below the text, a line for each token of each text, where they were asked for."""
    for index, text in enumerate(done.get("texts", [done])):
        if "logprobs" not in text:
            continue
        tell("")
        heading = f"token of text {index + 1}" if "texts" in done else "token"
        lines = zip(text["token_texts"], text["token_ids"], text["logprobs"], strict=True)
        rows = [
            (repr(token), number, f"{logprob:.3f}", f"{100 * exp(logprob):.2f} %") for token, number, logprob in lines
        ]
        table((heading, "id", "log-probability", "probability"), rows)


def _drafted(done: dict[str, Any]) -> str:
    """`, 61 % of 90 drafts accepted, 2.1 tokens a reading`, where heads drafted."""
    record = done.get("speculation")
    if record is None:
        return ""
    share = f"{100 * record['acceptance']:.0f} % of {record['drafted']} drafts accepted"
    return f", {share}, {record['tokens_per_forward']:.2f} tokens a reading"


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


class _Texts:
    """Prints each prompt with its text, an empty line between two."""

    def __init__(self, prompts: list[str]) -> None:
        self._prompts = prompts

    def __call__(self, answer: dict[str, Any]) -> None:
        if answer["kind"] == "text":
            write(f"{chr(10) if answer['index'] else ''}{self._prompts[answer['index']]}{answer['text']}\n")

    def end(self) -> None:
        """Every text has ended its line."""
