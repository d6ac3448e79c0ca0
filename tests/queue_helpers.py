"""A queue whose supervisor starts trainers without torch, and nothing left behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from nanocore.config.schema import Config
from nanocore.runs import create, queue, spawn, supervisor
from nanocore.runs.create import create_run
from nanocore.runs.layout import RunFolder, list_runs
from nanocore.runs.liveness import observe
from tests.run_helpers import wait_for

STEPS = 5


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A run root; whatever a test leaves at work in it is killed."""
    monkeypatch.setattr(queue, "wake", partial(queue.wake, module="tests.fake_supervisor"))
    monkeypatch.setattr(spawn, "spawn_trainer", partial(spawn.spawn_trainer, module="tests.fake_trainer"))
    monkeypatch.setattr(supervisor, "INTERVAL", 0.02)
    monkeypatch.setattr(create, "git_revision", str)  # a process for each run
    monkeypatch.setenv("FAKE_STEP_SECONDS", "0.002")
    folder = tmp_path / "runs"
    yield folder
    _kill(queue.supervisor_pid(folder))  # first: it would start others
    for run in list_runs(folder):
        state = observe(run)
        _kill(state.pid if state.alive else None)


def _kill(pid: int | None) -> None:
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def waiting_run(root: Path, name: str, *, steps: int = STEPS, **entry: object) -> RunFolder:
    """A new run of some steps, added to the queue; nothing is started yet."""
    config = Config()
    config = config.model_copy(update={"training": config.training.model_copy(update={"steps": steps})})
    run = create_run(root, config, name=name)
    queue.add(root, [queue.Entry(run=name, **entry)])  # type: ignore[arg-type]
    return run


def states(root: Path) -> dict[str, str]:
    """State by run, in the queue's order."""
    return {entry.run: entry.state for entry in queue.read_queue(root).entries}


def supervise(root: Path) -> None:
    """Be the supervisor until the queue is empty; for tests in which nobody has to kill it."""
    assert supervisor.main([str(root)]) == 0


def drained(root: Path) -> None:
    """Wait until nothing waits or runs and the supervisor is gone."""
    wait_for(lambda: not queue.read_queue(root).has_work, "the end of the queue")
    wait_for(lambda: queue.supervisor_pid(root) is None, "the end of the supervisor")
