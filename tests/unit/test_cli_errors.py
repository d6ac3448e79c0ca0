"""However a command fails: one line, a documented exit code, no traceback, no escape sequence."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path

import pytest

from nanoconsole import __main__ as entry
from nanoconsole.cli.main import run
from nanocore.errors import EXIT_CODES, BusyError
from tests import command_line
from tests.command_line import Nano

nano = command_line.nano

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e[/] [red]"


def fail_with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("nanoconsole.services.run_index.list_runs", fail)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], ["nonsense", "nanoconsole --help"]),
        (["train", "--stes"], ["--stes", "nanoconsole train --help"]),
        (["trian"], ["no such command: trian; did you mean train? see ", "nanoconsole --help"]),
        (
            ["train", "tiny-cpu", "--restarts", "3"],
            [
                "No such option: --restarts; queued runs have it, as in queue add tiny-cpu --restarts; see ",
                "train --help",
            ],
        ),
        (
            ["train", "tiny-cpu", "--steps", "20"],
            ["No such option: --steps; it is a key of the configuration: --set training.steps=VALUE; see"],
        ),
        (["train", "tiny-cpu", "--every", "20"], ["No such option: --every", "train --help"]),
        (["validate", "--only", "galor"], ["--only: no check named 'galor'; did you mean galore?"]),
        (["validate", "--only", "zzzz"], ["'zzzz'; there are environment, kernels"]),
        (["delete", "x"], ["no such command: delete; did you mean runs delete? see "]),
        (["runs", "shw"], ["no such command: shw; did you mean show? see ", "runs --help"]),
        (["watch"], ["RUN", "nanoconsole watch --help"]),
        (["runs", "show", "no-such-run"], ["no-such-run"]),
        (["presets", "show", "tiny-cpi"], ["did you mean tiny-cpu"]),
        (["config", "show", "tiny-cpi"], ["tiny-cpi", "did you mean tiny-cpu"]),
        (["config", "show", "tiny-cpu", "--set", "model.d_modle=3"], ["model.d_modle", "did you mean model.d_model"]),
        (["train"], ["name a preset"]),
        (["train", "tiny-cpu", "--fresh-optimizer"], ["--from"]),
        (["generate", "x", "--prompt", "a", "--top-p", "7"], ["--top-p", "must be at most 1;"]),
        (["generate", "x", "--prompt", "a", "--tokens", "0"], ["must be at least 1;"]),
        (["generate", "x", "--prompt", "a", "--tokens", "few"], ["must be a whole number;"]),
        (["generate", "x", "--prompt", "a", "--top-p", "few"], ["must be a number;"]),
        (["export", "x", "--to", "ggml"], ["'--to': 'ggml' is not one of", "did you mean gguf?"]),
        (["generate", "x", "def "], ["the text to go on from belongs behind --prompt"]),
        (["generate", "x", "def ", "--prompt", "a"], ["the text to go on from belongs behind --prompt"]),
        (["generate", "", "--prompt", "a"], ["the name is empty"]),
    ],
)
def test_a_wrong_command_says_in_one_line_what_is_wrong_and_exits_2(
    nano: Nano, arguments: list[str], words: list[str]
) -> None:
    result = nano(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert result.err.count("\n") == 1
    assert all(word in result.err for word in words), result.err
    assert "Value error" not in result.err and "Input should" not in result.err


def test_with_json_the_error_is_an_object_on_stderr(nano: Nano) -> None:
    result = nano("runs", "show", "no-such-run", "--json")
    error = json.loads(result.err)["error"]
    assert (result.code, error["exit_code"], error["type"]) == (2, 2, "UsageError")
    assert "no-such-run" in error["message"]
    usage = nano("runs", "show", "--json")
    assert json.loads(usage.err)["error"]["exit_code"] == 2


def test_every_fault_of_a_configuration_has_a_line_of_its_own(nano: Nano, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("[model]\nd_modle = 3\nn_layers = 'two'\n")
    result = nano("config", "check", str(file))
    assert result.code == 2
    lines = result.err.splitlines()
    assert len(lines) == 2
    assert all(any(f"{file}:{number}: " in line for line in lines) for number in (2, 3))
    checked = nano("config", "check", str(file), "--json")
    assert checked.data["valid"] is False
    assert len(checked.data["problems"]) == 2


def test_an_error_of_the_core_ends_with_its_own_exit_code(nano: Nano, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, BusyError("busy", where="a-run"))
    result = nano("runs", "list")
    assert (result.code, result.err) == (75, "nanoconsole: a-run: busy\n")


def test_an_unexpected_error_is_one_line_and_a_trace_in_a_file(nano: Nano, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, ZeroDivisionError(f"half a thing\nand more {HOSTILE}"))
    result = nano("runs", "list")
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert "Traceback" not in result.err
    assert "ZeroDivisionError: half a thing and more" in result.err
    assert not any(character in result.err for character in "\x1b\x07\x9b\u202e")
    trace = Path(result.err.split("trace is in ")[1].strip())
    assert trace.is_relative_to(nano.root)
    assert "ZeroDivisionError" in trace.read_text()


def test_an_unexpected_error_on_a_full_disk_is_still_one_line(nano: Nano, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    fail_with(monkeypatch, RuntimeError("boom"))
    monkeypatch.setattr(Path, "write_text", full)
    result = nano("runs", "list")
    assert result.code == 1
    assert result.err.endswith("boom; the full trace could not be written: No space left on device\n")


def test_the_trace_goes_to_a_temporary_folder_when_the_runs_folder_cannot_be_written(
    nano: Nano, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nano.root.write_text("a file where the folder should be")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fail_with(monkeypatch, RuntimeError("boom"))
    result = nano("runs", "list")
    assert result.code == 1
    assert Path(result.err.split("trace is in ")[1].strip()).read_text().endswith("RuntimeError: boom\n")


def test_the_help_of_the_root_documents_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    for code, meaning in EXIT_CODES.items():
        assert f"{code}  {meaning}" in text


def test_elsewhere_than_on_linux_one_line_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SystemExit) as ending:
        entry.main()
    assert ending.value.code == 2
    err = capsys.readouterr().err
    assert "Linux" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("group", ["bench", "runs", "config", "queue", "presets", "data"])
def test_a_group_without_its_verb_prints_its_help(nano: Nano, group: str) -> None:
    help_text = nano(group, "--help").out
    alone = nano(group)
    assert (alone.code, alone.out, alone.err) == (2, help_text, "")
    assert alone.out.count("\n") > 5
