"""The root of the command line: the app, the version, help and shell completion."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest
import typer.main

from nanoconsole.cli import terminal
from nanoconsole.cli.main import app, run
from nanocore.config.schema import Config
from nanocore.runs.create import create_run
from nanocore.runs.layout import RunFolder, find_run
from nanocore.runs.liveness import acquire
from nanocore.runs.trash import discard
from tests import command_line
from tests.command_line import Nano

nano = command_line.nano


def verbs() -> list[list[str]]:
    """Every verb with its group, read from the command tree itself."""
    found: list[list[str]] = []
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        group = getattr(command, "commands", None)
        found += [[name, verb] for verb in group] if group else [[name]]
    return found


@pytest.mark.parametrize("verb", verbs(), ids=" ".join)
def test_every_verb_has_help_with_examples_and_json(capsys: pytest.CaptureFixture[str], verb: list[str]) -> None:
    assert run([*verb, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Examples:" in text
    assert "[[" not in text.partition("Examples:")[0]
    assert not re.search(r"<(list|int|float|str|path|[\w-]+\|)", text), "a type where a word belongs"
    assert f"$ nanoconsole {' '.join(verb)}" in text
    assert "--json" in text or verb == ["config", "edit"]


@pytest.mark.parametrize(
    "group", [[], *([name] for name in ("presets", "config", "data", "runs", "queue"))], ids=" ".join
)
def test_the_one_line_help_of_every_verb_is_whole(capsys: pytest.CaptureFixture[str], group: list[str]) -> None:
    assert run([*group, "--help"]) == 0
    assert "..." not in capsys.readouterr().out.replace("[ARGS]...", "")


def test_on_a_pipe_the_app_is_refused_in_one_line_that_names_the_verbs(nano: Nano) -> None:
    result = nano()
    assert result.code == 2
    assert result.out == ""
    assert result.err.count("\n") == 1
    assert all(verb[0] in result.err for verb in verbs())


@pytest.mark.parametrize("term", ["dumb", "unknown", ""])
def test_a_terminal_that_cannot_draw_is_refused_too(nano: Nano, monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", term)
    assert nano().code == 2
    monkeypatch.setenv("TERM", "xterm-256color")
    assert terminal.interactive()


def test_on_a_terminal_the_app_opens_over_the_chosen_runs(nano: Nano, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    monkeypatch.setattr("nanoconsole.cli.terminal.interactive", lambda: True)
    monkeypatch.setattr("nanoconsole.tui.app.run_app", lambda root: opened.append(root) or 0)
    monkeypatch.setattr(
        "nanoconsole.tui.app.run_config_editor", lambda target, root: opened.append((target, root)) or 0
    )
    assert nano().code == 0
    assert nano("config", "edit", "tiny-cpu").code == 0
    assert opened == [nano.root, ("tiny-cpu", nano.root)]


def test_a_hint_names_the_folder_of_runs_that_is_found_from_this_directory_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NANOCONSOLE_RUNS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))

    def hint() -> str:
        assert run(["stop", "a-run"]) == 2
        return capsys.readouterr().err

    project = tmp_path / "my project"
    create_run(project / "runs", Config(), name="a-run")
    create_run(tmp_path / "data" / "nanoconsole" / "runs", Config(), name="a-run")
    monkeypatch.chdir(project)
    assert f"--runs '{project}/runs' resume a-run" in hint()
    monkeypatch.setenv("NANOCONSOLE_RUNS", str(project / "runs"))
    assert "--runs" not in hint()  # every command of this shell finds it
    monkeypatch.delenv("NANOCONSOLE_RUNS")
    monkeypatch.chdir(tmp_path)
    assert "--runs" not in hint() and "resume a-run" in hint()


def test_version(nano: Nano) -> None:
    result = nano("--version")
    assert result.code == 0
    assert result.out.startswith("nanoconsole 0.")


def complete(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str) -> list[str]:
    """What bash is offered at the end of a line."""
    words = line.split(" ")
    monkeypatch.setenv("_NANOCONSOLE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    assert run([]) == 0
    return capsys.readouterr().out.split()


def test_the_shell_completes_verbs_presets_files_and_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, nano: Nano
) -> None:
    for name in ("tin-run", "other"):
        create_run(nano.root, Config(), name=name)
    monkeypatch.setenv("NANOCONSOLE_RUNS", str(nano.root))
    monkeypatch.chdir(nano.root)
    (nano.root / "tin.toml").write_text("")
    offered = partial(complete, capsys, monkeypatch)
    assert offered("nanoconsole wat") == ["watch"]
    assert "tiny-cpu" in offered("nanoconsole presets show ti")
    assert offered("nanoconsole watch ti") == offered("nanoconsole runs delete ti") == ["tin-run"]
    assert {"tiny-cpu", "tin.toml", "tin-run"} <= set(offered("nanoconsole train ti"))
    assert offered(f"nanoconsole train {nano.root}/t") == [f"{nano.root}/tin.toml"]
    (nano.root / "tin-hf").mkdir()
    (nano.root / "tin-hf" / "config.json").write_text("{}")
    assert offered("nanoconsole chat ti") == ["tin-run", "tin-hf"]
    discard(nano.root, RunFolder(nano.root / "other"))
    assert offered("nanoconsole runs restore o") == ["other"]
    monkeypatch.setenv("NANOCONSOLE_RUNS", "/proc/1/mem")
    assert offered("nanoconsole watch ") == []


def test_the_folder_of_runs_is_told_only_on_a_terminal_and_where_nobody_named_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    create_run(tmp_path / "runs", Config(), name="a-run")
    monkeypatch.chdir(tmp_path)

    def talk(*arguments: str) -> str:
        capsys.readouterr()
        assert run([*arguments, "runs", "list"]) == 0
        return capsys.readouterr().err

    assert talk() == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert talk() == f"runs in {tmp_path / 'runs'}\n"
    assert talk("--runs", "runs") == ""
    monkeypatch.setenv("NANOCONSOLE_RUNS", "runs")
    assert talk() == ""


def test_the_help_does_not_promise_an_option_to_verbs_that_lack_it(capsys: pytest.CaptureFixture[str]) -> None:
    takers = []
    for verb in verbs():
        run([*verb, "--help"])
        takers.append("--runs" in capsys.readouterr().out)
    run(["--help"])
    text = capsys.readouterr().out
    assert not all(takers) and "every verb" not in text


@pytest.mark.parametrize("verb", ["stop", "pause", "checkpoint", "sample"])
def test_what_is_asked_of_a_trainer_completes_only_runs_at_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, nano: Nano, verb: str
) -> None:
    for name in ("ended", "busy", "other"):
        create_run(nano.root, Config(), name=name)
    monkeypatch.setenv("NANOCONSOLE_RUNS", str(nano.root))
    lock = acquire(find_run(nano.root, "busy"))
    assert complete(capsys, monkeypatch, f"nanoconsole {verb} ") == ["busy"]
    assert complete(capsys, monkeypatch, f"nanoconsole {verb} o") == []
    assert len(complete(capsys, monkeypatch, "nanoconsole watch ")) == 3
    lock.release()
    assert complete(capsys, monkeypatch, f"nanoconsole {verb} ") == []
