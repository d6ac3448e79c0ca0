"""The verb `tensorboard` around a TensorBoard that is scripted: when it ends, and with which exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nanoconsole.cli import tensorboard as verb
from nanoconsole.services import settings
from nanoconsole.services import tensorboard as service
from nanoconsole.services.launcher import Launched
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import acquire
from nanocore.runs.status import StatusWriter
from tests import command_line
from tests.command_line import Nano
from tests.run_helpers import make_run

nano = command_line.nano


class Board:
    """Answers at once and lives for `looks` looks."""

    url, looks, closed = "http://127.0.0.1:6006/", 3, False

    def __init__(self, run: RunFolder, log: Path, *, port: int | None = None) -> None:
        self.left = self.looks

    @property
    def alive(self) -> bool:
        self.left -= 1
        return self.left >= 0

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        type(self).closed = True


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb, "INTERVAL", 0.0)
    monkeypatch.setattr(service, "TensorBoard", Board)
    monkeypatch.setattr(Board, "closed", False)


def test_over_an_ended_run_it_stays_and_its_own_end_is_an_error(nano: Nano, tmp_path: Path) -> None:
    make_run(tmp_path, "a-run")
    result = nano("tensorboard", "a-run", "--json")
    assert result.data == {"run": "a-run", "url": Board.url}
    assert (result.code, "ended by itself" in result.err) == (6, True)


def test_with_run_it_ends_although_the_run_ended_before(nano: Nano, tmp_path: Path) -> None:
    make_run(tmp_path, "a-run")
    result = nano("tensorboard", "a-run", "--with-run")
    assert (result.code, result.out) == (0, f"{Board.url}\n")
    assert Board.closed


def test_it_ends_with_a_run_that_trains(nano: Nano, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, "a-run")
    lock, writer = acquire(run), StatusWriter(run, attempt=1)

    def end(_: float) -> None:
        writer.finish("finished", 0)
        lock.release()

    monkeypatch.setattr(Board, "looks", 10**6)
    monkeypatch.setattr(verb.time, "sleep", end)
    assert nano("tensorboard", "a-run").code == 0


def test_the_companion_of_a_launch_always_ends_with_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, started = make_run(tmp_path, "a-run"), list[Any]()
    monkeypatch.setattr(service.subprocess, "Popen", lambda command, **_: started.append(command))
    service.Companion(run, tmp_path)
    assert started[0][1:] == ["-P", "-m", "nanoconsole", "tensorboard", "a-run", "--with-run", "--runs", str(tmp_path)]


@pytest.mark.parametrize(
    ("wanted", "options", "served"),
    [
        (True, (), True),
        (False, (), False),
        (False, ("--tensorboard",), True),
        (True, ("--no-tensorboard",), False),
        (True, ("--detach",), False),
        (True, ("--set", "logging.tensorboard=false"), False),
    ],
)
def test_train_goes_by_the_option_else_by_the_setting_of_a_followed_run(
    wanted: bool, options: tuple[str, ...], served: bool, nano: Nano, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = list[str]()
    monkeypatch.setattr("nanoconsole.services.launcher.restart", lambda run, *_: Launched(run, 1, 0))
    monkeypatch.setattr("nanoconsole.services.launcher.confirm", lambda run: None)
    monkeypatch.setattr("nanoconsole.cli.follow.follow", lambda run, facts, **_: 0)
    monkeypatch.setattr(service, "Companion", lambda run, root: started.append(run.name))
    settings.save("tensorboard", wanted)
    assert nano("train", "tiny-cpu", *options).code == 0
    assert started == ["tiny-cpu-0001"] * served


def test_resume_goes_by_the_setting_when_it_stays(nano: Nano, monkeypatch: pytest.MonkeyPatch) -> None:
    run, started = make_run(nano.root.parent, "a-run"), list[str]()
    monkeypatch.setattr("nanoconsole.services.launcher.restart", lambda run, *_: Launched(run, 1, 0))
    monkeypatch.setattr("nanoconsole.services.launcher.confirm", lambda run: None)
    monkeypatch.setattr("nanoconsole.cli.follow.follow", lambda run, facts, **_: 0)
    monkeypatch.setattr(service, "Companion", lambda run, root: started.append(run.name))
    settings.save("tensorboard", True)
    assert nano("resume", run.name).code == 0
    assert started == []
    assert nano("resume", run.name, "--follow").code == 0
    assert started == ["a-run"]
