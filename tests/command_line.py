"""Running the command line in tests: in this process, or as a real console that can be signalled and killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nanoconsole.cli.main import run
from nanocore.runs.layout import list_runs
from nanocore.runs.liveness import observe
from nanocore.runs.steer import force_stop

# A console whose trainers are the fake one, so that no torch is imported.
CONSOLE = """
from functools import partial
import nanocore.runs.spawn as spawn
spawn.spawn_trainer = partial(spawn.spawn_trainer, module="tests.fake_trainer")
from nanoconsole.__main__ import main
main()
"""


@dataclass(frozen=True)
class Result:
    """What a command left: its exit code, its data and its talk."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The JSON lines on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]


class Nano:
    """`nano("runs", "list")` runs a command over the test's own run folder."""

    def __init__(self, capsys: pytest.CaptureFixture[str], root: Path) -> None:
        self._capsys, self.root = capsys, root

    def __call__(self, *arguments: str) -> Result:
        self._capsys.readouterr()
        code = run(["--runs", str(self.root), *arguments])
        captured = self._capsys.readouterr()
        return Result(code, captured.out, captured.err)


@pytest.fixture
def nano(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Nano:
    return Nano(capsys, tmp_path / "runs")


@pytest.fixture
def fake_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every launch of this test starts the trainer without torch."""
    from nanocore.runs import spawn

    monkeypatch.setattr(spawn, "spawn_trainer", partial(spawn.spawn_trainer, module="tests.fake_trainer"))


@pytest.fixture
def no_leftovers(tmp_path: Path) -> Iterator[None]:
    """A test that fails leaves no trainer behind."""
    yield
    for left in [*list_runs(tmp_path), *list_runs(tmp_path / "runs")]:
        if observe(left).alive:
            force_stop(left, patience=0)


def start_console(
    root: Path, *arguments: str, terminal: int | None = None, **environment: object
) -> subprocess.Popen[str]:
    """A console in a process of its own, on pipes or on a terminal, with FAKE_* variables given in lower case."""
    fake = {f"FAKE_{name.upper()}": str(value) for name, value in environment.items()}
    stream = subprocess.PIPE if terminal is None else terminal
    return subprocess.Popen(
        [sys.executable, "-c", CONSOLE, "--runs", str(root), *arguments],
        env={**os.environ, "TERM": "xterm-256color", **fake},
        stdin=subprocess.DEVNULL if terminal is None else terminal,
        stdout=stream,
        stderr=stream,
        text=True,
    )
