"""The wall clock jumps by hours in both directions: nothing is timed by it, and nobody is called dead for it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import observe
from nanocore.runs.records import read_all
from nanocore.runs.status import Status, StatusWriter, read_status
from nanocore.runs.summary import summarize
from tests.run_helpers import ended, events_of, make_run, start_fake, status_of
from tests.techniques import SMALL
from tests.tiny import new_run, train

HOUR = 3600.0


@pytest.fixture
def jumping(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A wall clock that each time it is asked is an hour ahead, or an hour behind."""
    true_time, asked = time.time, [0]

    def jump() -> float:
        asked[0] += 1
        return true_time() + (HOUR if asked[0] % 2 else -HOUR)

    monkeypatch.setattr(time, "time", jump)
    yield
    assert asked[0] > 3


@pytest.mark.usefixtures("jumping")
def test_rates_and_the_time_trained_are_those_of_a_steady_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path / "cache"))
    run = new_run(tmp_path, *SMALL, "training.steps=0", "training.duration=1h", "logging.every=1")
    monkeypatch.setattr("nanocore.train.loop.due", lambda job, every: stop_at_six(job))
    assert train(run) == 0
    records = [record for record in read_all(run.metrics_file) if "time/step" in record]
    elapsed = [record["elapsed"] for record in records]
    assert elapsed == sorted(elapsed) and 0 < elapsed[-1] < HOUR / 2
    for record in records:
        assert all(0 <= record[key] < HOUR / 2 for key in ("time/step", "time/data_wait", "time/forward"))
        assert record["throughput/tokens_per_sec"] > 0
    assert all(event["seconds"] >= 0 for event in events_of(run, "checkpoint"))
    assert status_of(run).step == 6


def stop_at_six(job: object) -> bool:
    job.orders.stop = job.progress.step >= 6  # type: ignore[attr-defined]
    return False


def test_a_trainer_that_is_launched_while_the_clock_jumps_is_awaited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, true_time = make_run(tmp_path), time.time
    start_fake(run, monkeypatch, steps=3, step_seconds=0.001)
    for shift in (HOUR, -HOUR):
        monkeypatch.setattr(time, "time", lambda shift=shift: true_time() + shift)
        assert observe(run).state in ("starting", "running", "finished")
    assert ended(run) == "finished"


def test_the_time_that_is_left_is_never_negative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the trainer's own steady clock, whatever the wall clock of the records says."""
    run: RunFolder = make_run(tmp_path)
    start_fake(run, monkeypatch, steps=100_000, step_seconds=0.002)
    deadline = time.monotonic() + 20
    while (summary := summarize(run)).eta is None:
        assert time.monotonic() < deadline
    status = read_status(run)
    assert status is not None
    assert summary.eta > 0
    for record in read_all(run.metrics_file):
        assert record["elapsed"] >= 0
    os.kill(status.pid, signal.SIGKILL)


@pytest.mark.usefixtures("jumping")
def test_the_heart_beats_by_a_steady_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanocore.runs.status.HEARTBEAT", 0.01)
    run = make_run(tmp_path)
    writer = StatusWriter(run, attempt=1)
    deadline, seen = time.monotonic() + 20, Status()
    while seen.alive < 3:
        seen = read_status(run) or seen
        assert time.monotonic() < deadline
    writer.finish("finished", 0)
