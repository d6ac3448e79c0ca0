"""The queue: its order, several consoles at once, and a supervisor that may die while its trainers live on."""

from __future__ import annotations

import os
import signal
from itertools import pairwise
from pathlib import Path

import pytest

from nanocore.config.toml import load
from nanocore.errors import UsageError
from nanocore.runs import queue
from nanocore.runs.layout import RunFolder, queue_dir
from nanocore.runs.liveness import observe
from nanocore.runs.records import read_all
from nanocore.runs.spawn import thread_count
from tests import queue_helpers
from tests.queue_helpers import drained, states, supervise, waiting_run
from tests.run_helpers import events_of, exit_code, fork, steps_of, trained, wait_for

root = queue_helpers.root
LONG = 1_000_000


def started_at(run: RunFolder) -> float:
    return events_of(run, "started")[0]["time"]


def ended_at(run: RunFolder) -> float:
    return read_all(run.events_file)[-1]["time"]


def test_runs_are_made_one_after_another_in_the_order_given_by_move(root: Path) -> None:
    runs = {name: waiting_run(root, name) for name in ("a", "b", "c")}
    queue.move(root, "c", 1)
    queue.move(root, "a", 99)
    assert list(states(root)) == ["c", "b", "a"]
    for _ in range(3):  # of several supervisors one works, and each run is started once
        queue.wake(root)
    drained(root)
    assert [len(events_of(run, "started")) for run in runs.values()] == [1, 1, 1]
    assert set(states(root).values()) == {"finished"}
    order = sorted(runs, key=lambda name: started_at(runs[name]))
    assert order == ["c", "b", "a"]
    for first, second in pairwise(order):
        assert ended_at(runs[first]) <= started_at(runs[second])
    assert not queue.wake(root)  # nothing to do: no process


def test_two_slots_work_side_by_side_and_a_run_that_wants_to_be_alone_is(root: Path) -> None:
    alone = waiting_run(root, "alone", steps=20)
    pair = [waiting_run(root, name, steps=LONG, slots=2) for name in ("left", "right", "third")]
    queue.wake(root)
    for run in pair[:2]:
        trained(run)
    assert states(root) == {"alone": "finished", "left": "running", "right": "running", "third": "waiting"}
    assert ended_at(alone) <= min(started_at(run) for run in pair[:2])
    last = waiting_run(root, "last", steps=20)  # alone again: it waits for all that run
    queue.cancel(root, "left")
    trained(pair[2])
    assert observe(pair[1]).alive
    assert observe(last).state == "created"
    assert load(pair[0].config_file).hardware.threads == max(1, thread_count() // 2)  # the processors are shared
    assert load(alone.config_file).hardware.threads == 0
    queue.cancel(root, "right")
    queue.cancel(root, "third")
    drained(root)
    assert max(ended_at(run) for run in pair) <= started_at(last)
    assert states(root) == {
        "alone": "finished",
        "left": "cancelled",
        "right": "cancelled",
        "third": "cancelled",
        "last": "finished",
    }


def test_consoles_that_add_at_once_lose_nothing(root: Path) -> None:
    def add_many(console: int) -> None:
        for number in range(4):
            waiting_run(root, f"c{console}-{number}")

    children = [fork(lambda console=console: add_many(console)) for console in range(3)]
    assert [exit_code(child) for child in children] == [0] * 3
    names = list(states(root))
    assert sorted(names) == sorted(f"c{console}-{number}" for console in range(3) for number in range(4))
    for console in range(3):
        own = [name for name in names if name.startswith(f"c{console}-")]
        assert own == [f"c{console}-{number}" for number in range(4)]


def test_a_killed_supervisor_leaves_its_trainers_alive_and_the_next_one_goes_on(root: Path) -> None:
    first, second = waiting_run(root, "first", steps=LONG), waiting_run(root, "second")
    queue.wake(root)
    trained(first)
    wait_for(lambda: states(root)["first"] == "running")
    killed = queue.supervisor_pid(root)
    assert killed
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: queue.supervisor_pid(root) is None)
    trainer = observe(first).pid
    trained(first)
    assert states(root) == {"first": "running", "second": "waiting"}
    assert queue.wake(root)
    wait_for(lambda: queue.supervisor_pid(root))
    trained(first)
    assert observe(first).pid == trainer  # taken over, not started again
    assert observe(second).state == "created"
    queue.cancel(root, "first")
    drained(root)
    assert states(root) == {"first": "cancelled", "second": "finished"}
    assert len(events_of(first, "started")) == 1


def test_a_trainer_that_died_while_nobody_supervised_is_recorded_as_failed(root: Path) -> None:
    run = waiting_run(root, "lost", steps=LONG)
    waiting_run(root, "next")
    queue.wake(root)
    trained(run)
    wait_for(lambda: states(root)["lost"] == "running")
    for pid in (queue.supervisor_pid(root), observe(run).pid):
        assert pid
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not observe(run).alive and queue.supervisor_pid(root) is None)
    supervise(root)
    assert states(root) == {"lost": "failed", "next": "finished"}
    assert "it ended without a word" in queue.read_queue(root).entries[0].reason


def test_a_failure_is_recorded_with_its_reason_and_the_queue_goes_on(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_FAULT", "kill@3")
    waiting_run(root, "bad")
    waiting_run(root, "short", steps=2)
    supervise(root)
    assert states(root) == {"bad": "failed", "short": "finished"}
    assert queue.read_queue(root).entries[0].reason.startswith("crashed: ")


def test_a_failure_can_halt_the_queue_until_it_is_started_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FAULT", "raise@3")
    waiting_run(root, "bad", stop_on_failure=True)
    waiting_run(root, "short", steps=2)
    supervise(root)
    found = queue.read_queue(root)
    assert states(root) == {"bad": "failed", "short": "waiting"}
    assert found.halted.startswith("bad failed: crashed: ValueError: the fake trainer was told to fail")
    assert "\x1b" not in found.halted
    assert not queue.wake(root)
    queue.start(root)
    supervise(root)
    assert states(root)["short"] == "finished"


def test_cancelling_drops_a_waiting_run_and_stops_a_running_one_with_a_checkpoint(root: Path) -> None:
    working, waiting = waiting_run(root, "working", steps=LONG), waiting_run(root, "waiting")
    queue.wake(root)
    trained(working)
    wait_for(lambda: states(root)["working"] == "running")
    assert queue.cancel(root, "waiting") == "waiting"
    assert queue.cancel(root, "working") == "running"
    drained(root)
    assert states(root) == {"working": "cancelled", "waiting": "cancelled"}
    assert observe(working).state == "stopped"
    assert events_of(working, "checkpoint")[-1]["step"] == steps_of(working)[-1]
    assert observe(waiting).state == "created"
    with pytest.raises(UsageError, match="working: has ended already: cancelled; see "):
        queue.cancel(root, "working")
    with pytest.raises(UsageError, match="is not in the queue"):
        queue.cancel(root, "never")


def test_a_run_that_is_deleted_or_finished_before_its_turn_stops_nothing(root: Path) -> None:
    import shutil

    gone, twice = waiting_run(root, "gone"), waiting_run(root, "twice")
    supervise(root)
    shutil.rmtree(gone.path)
    queue.add(root, [queue.Entry(run="twice")])
    with pytest.raises(UsageError, match="no run named 'gone'"):
        queue.add(root, [queue.Entry(run="gone")])
    with pytest.raises(UsageError, match="in the queue already"):
        queue.add(root, [queue.Entry(run="twice")])
    waiting_run(root, "vanishing")
    shutil.rmtree(root / "vanishing")
    supervise(root)
    assert states(root) == {"gone": "finished", "twice": "finished", "vanishing": "failed"}
    assert len(events_of(twice, "started")) == 1


def test_a_queue_that_cannot_be_read_is_one_line_and_never_emptied(root: Path) -> None:
    waiting_run(root, "a")
    document = queue_dir(root) / "queue.json"
    for text in ("{", "[]", '{"entries": 3}', '{"schema": 99}'):
        document.write_text(text)
        with pytest.raises(UsageError, match=r"the queue (cannot be read|was written by a newer version)"):
            queue.move(root, "a", 1)
        with pytest.raises(UsageError, match=r"the queue (cannot be read|was written by a newer version)"):
            queue.wake(root)
        assert document.read_text() == text
