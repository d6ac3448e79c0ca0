"""`chat` over pipes and in a terminal: turns, stop strings, a reply that Ctrl-C ends."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import nanocore
from nanoconsole.services.chat_settings import Layout
from tests.run_helpers import wait_for
from tests.saved import saved_run

CHAT = [sys.executable, "-m", "nanoconsole", "--runs"]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    saved_run(tmp_path / "runs", "model.context_length=256")
    return tmp_path / "runs"


def start(
    root: Path, *options: str, stdin: int = subprocess.PIPE, stderr: int = subprocess.PIPE
) -> subprocess.Popen[str]:
    command = [*CHAT, str(root), "chat", "saved", "--backend", "torch", *options]
    return subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, text=True)


def test_turns_are_laid_out_as_one_text() -> None:
    layout = Layout("Q: ", "A:")
    assert layout.turn("hi", "") == "Q: hi\nA:"
    assert layout.turn("hi", "Facts.\n") == "Q: hi\nA:"
    assert layout.turn("and", "Q: hi\nA: yes") == "\nQ: and\nA:"
    assert layout.stops() == ["\nQ:"]
    assert (Layout("", "").turn("def f(", "x"), Layout("", "").stops()) == ("\ndef f(\n", [])


@pytest.mark.slow
def test_each_line_of_a_pipe_is_a_turn_and_the_conversation_is_one_text(root: Path) -> None:
    options = ("--tokens", "6", "--seed", "1", "--text", "Talk.\\n", "--user", "Q: ", "--assistant", "A:", "--json")
    done = start(root, *options)
    out, err = done.communicate("hello\nand \udcff you?\n".replace("\udcff", "é"), timeout=60)
    assert done.returncode == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    replies = [line for line in lines if line["kind"] == "reply"]
    assert len(replies) == 2
    assert [line["text"] for line in lines if line["kind"] == "text"] != []
    first = "Talk.\nQ: hello\nA:"
    second = first + replies[0]["text"] + "\nQ: and é you?\nA:"
    assert [reply["prompt_tokens"] for reply in replies] == [1 + len(text.encode()) for text in (first, second)]
    assert "torch" in err and "Ctrl-D" in err


@pytest.mark.slow
def test_a_conversation_that_outgrows_the_context_is_said_once(root: Path) -> None:
    """The context is 256 tokens, the text bytes: the second of three turns passes it."""
    done = start(root, "--tokens", "4", "--json")
    out, err = done.communicate(f"{'a' * 200}\n{'b' * 200}\n{'c' * 200}\n", timeout=60)
    assert done.returncode == 0, err
    replies = [record for record in map(json.loads, out.splitlines()) if record["kind"] == "reply"]
    cuts = [reply["prompt_cut"] for reply in replies]
    assert cuts == [max(reply["prompt_tokens"] - 256, 0) for reply in replies] and cuts[0] == 0 < cuts[1] < cuts[2]
    assert [f"the first {cuts[1]} were left out" in line for line in err.splitlines()].count(True) == 1
    assert err.count("left out") == 1


@pytest.mark.slow
def test_the_ith_reply_draws_with_seed_plus_i(root: Path) -> None:
    """Each reply is the text that `generate` writes after the same conversation with that seed."""
    done = start(root, "--tokens", "12", "--seed", "7", "--temperature", "2", "--json")
    out, err = done.communicate("ab\ncd\n", timeout=60)
    assert done.returncode == 0, err
    replies = [record["text"] for record in map(json.loads, out.splitlines()) if record["kind"] == "reply"]
    model, text = nanocore.load(root / "saved", backend="torch", threads=1), ""
    for index, line in enumerate(("ab", "cd")):
        text += Layout("", "").turn(line, text)
        drawn = [model.generate(text, tokens=12, seed=seed, temperature=2).text for seed in (7, 7 + index)]
        assert replies[index] == drawn[1] and (drawn[0] == drawn[1]) == (index == 0)
        text += drawn[1]


def test_ctrl_c_ends_a_reply_and_not_the_chat(root: Path) -> None:
    """In a terminal: the second turn is answered after the first was cut short."""
    keyboard, terminal = pty.openpty()
    chat = start(root, "--tokens", "1000000", "--json", stdin=terminal)
    assert chat.stdout is not None and chat.stderr is not None
    try:
        for _ in range(2):
            os.write(keyboard, b"go on\n")
            cut = False
            for line in chat.stdout:
                record = json.loads(line)
                if record["kind"] == "text" and not cut:
                    chat.send_signal(signal.SIGINT)
                    cut = True
                if record["kind"] == "reply":
                    assert record["finish"] == "cancelled"
                    break
        os.write(keyboard, b"\x04")
        wait_for(lambda: chat.poll() is not None, "the end of the chat")
        assert chat.returncode == 0
    finally:
        chat.kill()
        chat.communicate()
        os.close(keyboard)
        os.close(terminal)


def test_a_chat_with_nothing_is_refused_in_one_line(root: Path) -> None:
    for options, words in ((("--step", "9"), "no checkpoint of step 9"), (("--stop", ""), "--stop: is empty")):
        done = start(root, *options)
        out, err = done.communicate("hello\n", timeout=60)
        assert (out, len(err.splitlines())) == ("", 1), err
        assert words in err and done.returncode in (2, 5)
