"""`generate` on the command line, with a worker whose answers are known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from nanocore.config.schema import Config
from nanocore.runs.create import create_run
from tests import command_line
from tests.command_line import Nano

nano = command_line.nano
DONE: dict[str, Any] = {
    "kind": "done", "checkpoint": "step-00000004", "text": "x", "seconds": 1.5, "prompt_tokens": 5, "prompt_cut": 0,
}  # fmt: skip


class ScriptedWorker:
    """Gives the answers it was told to, and remembers the request and that it was cancelled."""

    answers: list[dict[str, Any]] = []
    request: dict[str, Any] = {}
    cancelled = False

    def __init__(self, request: dict[str, Any]) -> None:
        type(self).request = request

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield from self.answers

    def cancel(self) -> None:
        type(self).cancelled = True


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, nano: Nano) -> type[ScriptedWorker]:
    create_run(nano.root, Config(), name="a-run")
    monkeypatch.setattr("nanoconsole.services.workers.Worker", ScriptedWorker)
    monkeypatch.setattr(ScriptedWorker, "answers", [])
    monkeypatch.setattr(ScriptedWorker, "cancelled", False)
    return ScriptedWorker


def test_the_text_is_printed_after_its_prompt_as_it_comes_without_escapes(
    nano: Nano, worker: type[ScriptedWorker]
) -> None:
    worker.answers = [{"kind": "text", "text": piece} for piece in ("add(a,", " b):\n    ", "\x1b]0;owned\x07[/]")] + [
        DONE
    ]
    result = nano("generate", "a-run", "--prompt", "def ", "--tokens", "9", "--seed", "3", "--step", "4")
    assert result.code == 0
    assert result.out == "def add(a, b):\n    ␛]0;owned␇[/]\n"
    assert "step-00000004" in result.err
    assert {key: worker.request[key] for key in ("verb", "step", "prompt", "tokens", "seed")} == {
        "verb": "generate", "step": 4, "prompt": "def ", "tokens": 9, "seed": 3,
    }  # fmt: skip


def test_json_gives_the_answers_as_lines(nano: Nano, worker: type[ScriptedWorker]) -> None:
    worker.answers = [{"kind": "text", "text": "\u202ex"}, DONE]
    result = nano("generate", "a-run", "--prompt", "", "--json")
    assert result.lines == worker.answers
    assert result.out.isascii()
    assert worker.request["step"] == "latest"


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_what_takes_long_is_told_on_stderr_and_is_no_part_of_the_text(
    options: tuple[str, ...], nano: Nano, worker: type[ScriptedWorker]
) -> None:
    text = {"kind": "text", "text": "x"}
    worker.answers = [{"kind": "notice", "text": "compiling\x1b[31m the kernels"}, text, DONE]
    result = nano("generate", "a-run", "--prompt", "a", *options)
    assert result.err.splitlines()[0] == "compiling␛[31m the kernels"
    assert "compiling" not in result.out and (result.lines == [text, DONE] if options else result.out == "ax\n")


def test_the_workers_error_is_the_commands_and_the_worker_is_ended(nano: Nano, worker: type[ScriptedWorker]) -> None:
    worker.answers = [
        {"kind": "text", "text": "x"},
        {"kind": "error", "type": "ResourceError", "message": "out of memory", "exit_code": 6},
        DONE,
    ]
    result = nano("generate", "a-run", "--prompt", "a")
    assert (result.code, result.err) == (6, "nanoconsole: out of memory\n")
    assert worker.cancelled
    worker.answers = []
    assert nano("generate", "a-run", "--prompt", "a").code == 1


def test_a_worker_that_fails_before_its_first_answer_leaves_stdout_empty(
    nano: Nano, worker: type[ScriptedWorker]
) -> None:
    worker.answers = [
        {"kind": "error", "type": "CheckpointError", "message": "a-run: has no checkpoint", "exit_code": 5}
    ]
    result = nano("generate", "a-run", "--prompt", "def ")
    assert (result.code, result.out, result.err) == (5, "", "nanoconsole: a-run: has no checkpoint\n")


@pytest.mark.parametrize(
    ("kind", "code"),
    [("CheckpointError", 5), ("ResourceError", 6), ("DataError", 2), ("ConfigError", 2), ("NanoError", 1)],
)
def test_with_json_the_workers_error_keeps_the_name_of_its_class(
    nano: Nano, worker: type[ScriptedWorker], kind: str, code: int
) -> None:
    worker.answers = [{"kind": "error", "type": kind, "message": "one\ntwo", "exit_code": code}]
    result = nano("generate", "a-run", "--prompt", "a", "--json")
    error = json.loads(result.err)["error"]
    assert (result.code, error["type"], error["exit_code"]) == (code, kind, code)
    assert error["problems"] == (["one", "two"] if kind == "ConfigError" else ["one two"])


def test_a_prompt_that_is_no_text_is_refused_in_one_line(nano: Nano, worker: type[ScriptedWorker]) -> None:
    worker.request = {}
    result = nano("generate", "a-run", "--prompt", "a\udcff")
    assert (result.code, result.out, result.err) == (
        2, "", "nanoconsole: --prompt: is not UTF-8 text; give it in UTF-8\n",
    )  # fmt: skip
    assert worker.request == {}


def test_every_setting_reaches_the_worker(nano: Nano, worker: type[ScriptedWorker]) -> None:
    worker.answers = [DONE]
    options = (
        "--min-p",
        "0.1",
        "--repetition-penalty",
        "1.2",
        "--repetition-window",
        "9",
        "--stop",
        "\\n\\n",
        "--stop",
        "x",
    )
    more = ("--speculate", "--logprobs", "--backend", "torch", "--threads", "1", "--step", "best")
    assert nano("generate", "a-run", "--prompt", "a", *options, *more).code == 0
    expected = {
        "min_p": 0.1, "repetition_penalty": 1.2, "repetition_window": 9, "stop": ["\n\n", "x"], "speculate": True,
        "logprobs": True, "backend": "torch", "threads": 1, "step": "best",
    }  # fmt: skip
    assert {key: worker.request[key] for key in expected} == expected


def test_several_prompts_are_printed_each_with_its_text(nano: Nano, worker: type[ScriptedWorker]) -> None:
    worker.answers = [{"kind": "text", "index": index, "text": text} for index, text in enumerate("xy")] + [DONE]
    result = nano("generate", "a-run", "--prompt", "a", "--prompt", "b")
    assert worker.request["prompts"] == ["a", "b"] and "prompt" not in worker.request
    assert result.out == "ax\n\nby\n"


def test_what_computed_and_how_drafts_fared_is_said(nano: Nano, worker: type[ScriptedWorker]) -> None:
    record = {"drafted": 90, "accepted": 45, "acceptance": 0.5, "tokens_per_forward": 2.123}
    worker.answers = [{**DONE, "backend": "torch", "reason": "not native: no compiler", "speculation": record}]
    said = nano("generate", "a-run", "--prompt", "a").err
    assert "a-run step-00000004 with torch (not native: no compiler), 1.5 s" in said
    assert "50 % of 90 drafts accepted, 2.12 tokens a reading" in said


@pytest.mark.parametrize("json_option", [(), ("--json",)])
def test_a_prompt_that_was_cut_is_said_in_a_line(
    nano: Nano, worker: type[ScriptedWorker], json_option: tuple[str, ...]
) -> None:
    worker.answers = [{**DONE, "prompt_tokens": 300, "prompt_cut": 44}]
    result = nano("generate", "a-run", "--prompt", "a", *json_option)
    line = "the prompt has 300 tokens; the model reads 256 at most, so the first 44 were left out"
    assert (result.code, result.err.splitlines()[0]) == (0, line) and "44" not in result.out.replace(
        '"prompt_cut": 44', ""
    )
    whole, cut = {"prompt_tokens": 9, "prompt_cut": 0}, {"prompt_tokens": 300, "prompt_cut": 44}
    worker.answers = [{"kind": "done", "checkpoint": "c", "seconds": 1.0, "texts": [whole, cut]}]
    said = nano("generate", "a-run", "--prompt", "a", "--prompt", "b", *json_option).err.splitlines()
    assert said[0] == line.replace("the prompt", "prompt 2")
    worker.answers = [DONE]
    assert "left out" not in nano("generate", "a-run", "--prompt", "a", *json_option).err


def test_log_probabilities_are_listed_below_the_text(nano: Nano, worker: type[ScriptedWorker]) -> None:
    told = {"token_texts": [" b", "\n\x1b["], "token_ids": [270, 9], "logprobs": [-0.25, -4.605170]}
    worker.answers = [{"kind": "text", "text": " b\n"}, {**DONE, **told}]
    lines = nano("generate", "a-run", "--prompt", "a", "--logprobs").out.splitlines()
    assert lines[:3] == ["a b", "", ""] and lines[3].split() == ["token", "id", "log-probability", "probability"]
    assert [line.split() for line in lines[4:]] == [
        ["'", "b'", "270", "-0.250", "77.88", "%"], [r"'\n\x1b['", "9", "-4.605", "1.00", "%"],
    ]  # fmt: skip
    texts = [{**told, "text": "x", "prompt_tokens": 1, "prompt_cut": 0}] * 2
    worker.answers = [{"kind": "done", "checkpoint": "c", "seconds": 1.0, "texts": texts}]
    shown = nano("generate", "a-run", "--prompt", "a", "--prompt", "b", "--logprobs").out
    assert "token of text 1" in shown and "token of text 2" in shown
    worker.answers = [{**DONE, **told}]
    assert nano("generate", "a-run", "--prompt", "a", "--logprobs", "--json").lines == worker.answers


@pytest.mark.parametrize("options", [("--step", "newest"), ("--stop", ""), ("--backend", "gpu"), ("--min-p", "2")])
def test_options_out_of_range_are_refused_in_one_line(
    nano: Nano, worker: type[ScriptedWorker], options: tuple[str, str]
) -> None:
    result = nano("generate", "a-run", "--prompt", "a", *options)
    assert (result.code, result.out, len(result.err.splitlines())) == (2, "", 1)
