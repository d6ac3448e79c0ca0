"""A queued run starts again after an accident, as often as it may and after longer and longer pauses; never in vain."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from nanoconsole.services import waiting
from nanocore.runs import queue, restart, supervisor
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import RunState, observe
from nanocore.runs.queue import Entry
from nanocore.runs.records import read_all
from nanocore.runs.restart import due, is_accident, pause
from nanocore.runs.status import ALIVE_STATES
from tests import queue_helpers
from tests.queue_helpers import drained, states, supervise, waiting_run
from tests.run_helpers import events_of, make_run, status_of_me, steps_of, trained, wait_for

root = queue_helpers.root
LONG = 1_000_000


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restart, "FIRST_PAUSE", 0.02)


def restarts_of(run: RunFolder) -> list[str]:
    return [event["message"] for event in events_of(run, "restart")]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("kill", "killed by SIGKILL"),
        pytest.param("segv", "killed by SIGSEGV", marks=pytest.mark.slow),
        pytest.param("exit", "exit code 7", marks=pytest.mark.slow),
    ],
)
def test_a_run_that_has_accidents_comes_to_its_end(
    root: Path, monkeypatch: pytest.MonkeyPatch, fault: str, words: str
) -> None:
    """Its fault comes at step 12, and the checkpoint of step 10 is before it: it meets it once in each attempt but the last."""
    run = waiting_run(root, "unlucky", steps=15, restarts=1)
    monkeypatch.setenv("FAKE_FAULT", f"{fault}@12")
    monkeypatch.setattr(supervisor.spawn, "spawn_trainer", _lucky_after(1, monkeypatch))
    supervise(root)
    assert states(root) == {"unlucky": "finished"}
    (said,) = restarts_of(run)
    assert said.startswith("starts again in 0 s, 1 of 1: crashed: ") and words in said
    assert [event["step"] for event in events_of(run, "resumed")] == [10]
    assert steps_of(run)[-1] == 15


def _lucky_after(failures: int, monkeypatch: pytest.MonkeyPatch) -> object:
    """Starts trainers, the first few of them with their fault."""
    true_spawn, begun = supervisor.spawn.spawn_trainer, []

    def spawn(*arguments: object, **options: object) -> int:
        if len(begun) >= failures:
            monkeypatch.delenv("FAKE_FAULT", raising=False)
        begun.append(1)
        return true_spawn(*arguments, **options)  # type: ignore[arg-type]

    return spawn


def test_the_limit_is_kept_and_the_pauses_grow(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FAULT", "kill@3")
    run = waiting_run(root, "hopeless", restarts=2)
    after = waiting_run(root, "after", steps=2)
    supervise(root)
    assert states(root) == {"hopeless": "failed", "after": "finished"}
    assert len(events_of(run, "started")) == 3
    assert [event["seconds"] for event in events_of(run, "restart")] == [0.02, 0.04]
    assert queue.read_queue(root).entries[0].reason.startswith("crashed: killed by SIGKILL")
    assert steps_of(after) == [1, 2]


def test_what_would_only_happen_again_is_not_tried_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FAULT", "nan@3")
    run = waiting_run(root, "diverges", restarts=5)
    supervise(root)
    assert states(root) == {"diverges": "failed"}
    assert restarts_of(run) == []


@pytest.mark.parametrize(
    ("state", "code", "again"),
    [
        ("crashed", None, True), ("crashed", 1, True), ("crashed", 2, False), ("crashed", 4, False), ("crashed", 5, False),
        ("crashed", 6, False), ("diverged", 4, False), ("stopped", 143, False), ("finished", 0, False),
    ],
)  # fmt: skip
def test_which_ends_are_accidents(tmp_path: Path, state: str, code: int | None, again: bool) -> None:
    run = make_run(tmp_path)
    found = RunState(state, status=status_of_me(state=state if code else "running", exit_code=code))
    assert is_accident(run, found) == again


def test_pauses_double_up_to_ten_minutes_and_a_clock_set_back_does_not_prolong_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(restart, "FIRST_PAUSE", 10.0)
    assert [pause(count) for count in (0, 1, 2, 5, 6, 999)] == [10.0, 20.0, 40.0, 320.0, 600.0, 600.0]
    monkeypatch.setattr(restart.time, "time", lambda: 1000.0)
    entry = Entry(run="a", restarts=3, restarted=1, again=1010.0)
    assert not due(entry)
    monkeypatch.setattr(restart.time, "time", lambda: 1010.0)
    assert due(entry)
    monkeypatch.setattr(restart.time, "time", lambda: 1000.0 - 3600.0)
    assert due(entry)


def test_a_run_that_waits_to_start_again_can_be_cancelled(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restart, "FIRST_PAUSE", 600.0)
    monkeypatch.setattr(queue, "wake", lambda _: None)
    run = waiting_run(root, "waits", steps=LONG, restarts=3)
    with queue.editing(root) as found:
        supervisor.start_next(root, found)
    trained(run)
    os.kill(observe(run).pid, signal.SIGKILL)
    wait_for(lambda: not observe(run).alive)
    with queue.editing(root) as found:
        supervisor.settle(root, found, found.entries[0])
    entry = queue.read_queue(root).entries[0]
    assert (entry.state, entry.restarted) == ("running", 1) and "1 of 3" in entry.reason
    assert not supervisor.concerns(root, entry, halted=False)
    assert waiting.read(root).entries[0].reason.startswith("starts again in 600 s, 1 of 3: crashed: ")
    queue.halt(root)
    shown = waiting.read(root, now=time.time() + 300.0).entries[0]  # its status is old, but nobody is to write it
    assert (shown.reason[:49], shown.stall) == ("held while the queue is halted, restart 1 of 3: c", "")
    queue.start(root)
    queue.cancel(root, "waits")
    supervise(root)
    assert states(root) == {"waits": "cancelled"}


def test_a_restart_outlives_its_supervisor(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Supervisor and trainer are both killed: the next supervisor starts the run again."""
    run = waiting_run(root, "lost", steps=LONG, restarts=1)
    queue.wake(root)
    trained(run, 15)
    wait_for(lambda: states(root)["lost"] == "running")
    for pid in (queue.supervisor_pid(root), observe(run).pid):
        assert pid
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not observe(run).alive and queue.supervisor_pid(root) is None)
    queue.wake(root)
    wait_for(lambda: len(events_of(run, "started")) == 2, "the restart")
    trained(run)
    assert read_all(run.metrics_file)[-1]["attempt"] == 2
    assert observe(run).state in ALIVE_STATES
    queue.cancel(root, "lost")
    drained(root)
