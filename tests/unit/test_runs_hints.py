"""A command in a message is found by the shell that its reader types it into."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from nanocore.runs.hints import repeat_root, to_type


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment with the command in it, which PATH does not name."""
    binaries = tmp_path / "my project" / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "nanoconsole").write_text("#!/bin/sh\n")
    (binaries / "nanoconsole").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(binaries / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    return binaries


def test_on_the_path_the_name_is_enough(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(installed))
    assert to_type("stop a-run") == "nanoconsole stop a-run"


def test_else_the_installed_command_is_named_by_its_path(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(installed.parents[1])
    assert to_type("stop a-run") == ".venv/bin/nanoconsole stop a-run"
    for elsewhere in (installed, installed.parents[2] / "other"):
        elsewhere.mkdir(exist_ok=True)
        monkeypatch.chdir(elsewhere)
        assert shlex.split(to_type("stop a-run")) == [str(installed / "nanoconsole"), "stop", "a-run"]


def test_without_an_installed_command_the_module_is_run(installed: Path) -> None:
    (installed / "nanoconsole").unlink()
    assert shlex.split(to_type("runs list")) == [str(installed / "python"), "-m", "nanoconsole", "runs", "list"]


def test_a_folder_of_runs_that_was_named_is_named_again(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(installed))
    repeat_root(Path("my runs"))
    try:
        assert to_type("stop a-run") == "nanoconsole --runs 'my runs' stop a-run"
        assert to_type("stop --help") == "nanoconsole stop --help"
    finally:
        repeat_root(None)
    assert to_type("stop a-run") == "nanoconsole stop a-run"
