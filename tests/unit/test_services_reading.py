"""A long history is read so that the newest is there first, and reading never takes the screen's turn."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nanoconsole.services import metrics_reader, watched
from nanoconsole.services.follower import RunFollower
from nanoconsole.services.history import CURVES, History
from nanoconsole.services.metrics_reader import MetricsReader
from nanoconsole.services.watched import METERS, RunUpdate, WatchedRun
from nanocore.runs.layout import RunFolder
from tests.run_helpers import wait_for
from tests.tui.scenes import SteadyMeters, at_work, lay, set_status

LATE = ("numpy", "pydantic", "psutil", "tomlkit", "importlib.metadata", "nanocore.config.schema")


def test_the_list_of_runs_is_shown_before_anything_that_only_other_screens_need_is_loaded() -> None:
    program = f"import sys, nanoconsole.tui.app, nanoconsole.tui.screens.runs; print([each for each in {LATE} if each in sys.modules])"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def long_run(root: Path, records: int = 4000) -> RunFolder:
    run = lay(root, "long", steps=1)
    lines = ({"step": step, "attempt": 1, "loss/ce": 1.0, "note": "x" * 100} for step in range(1, records + 1))
    run.metrics_file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


def test_a_screenful_is_decoded_first_and_then_a_bounded_piece_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, history, blocks = long_run(tmp_path, 8000), History(), []
    reader = MetricsReader(run.metrics_file, history)
    decode = metrics_reader.ChunkDecoder.decode
    monkeypatch.setattr(
        metrics_reader.ChunkDecoder, "decode", lambda self, block: blocks.append(len(block)) or decode(self, block)
    )
    reader.read(1e9)
    assert sum(blocks) <= metrics_reader.FIRST < run.metrics_file.stat().st_size / 3
    assert history.span("step")[1] == 8000
    assert reader.pending
    reader.read(1e9)
    assert not reader.pending
    assert max(blocks) <= metrics_reader.CHUNK
    assert history.span("step") == (1.0, 8000.0)


@pytest.mark.parametrize(("work", "naps"), [(0.0, [0.0]), (0.0025, [0.0, 0.001, 0.001]), (1.0, [0.0] + [0.001] * 4)])
def test_another_thread_has_the_interpreter_while_it_works_but_not_for_long(
    monkeypatch: pytest.MonkeyPatch, work: float, naps: list[float]
) -> None:
    """`work` is the time the other one needs; whoever sleeps gets the interpreter back a turn later while it does."""
    now, left, slept = [0.0], [work], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        turn = seconds + (watched.TURN if left[0] > seconds else 0.0)
        now[0], left[0] = now[0] + turn, max(0.0, left[0] - turn)

    monkeypatch.setattr(metrics_reader.time, "sleep", sleep)
    monkeypatch.setattr(metrics_reader.time, "monotonic", lambda: now[0])
    metrics_reader._give_way()
    assert slept == naps


def test_nothing_is_read_on_until_what_was_read_is_painted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "MeterReader", SteadyMeters)
    monkeypatch.setattr("nanoconsole.services.follower.PATIENCE", 60.0)
    monkeypatch.setattr(metrics_reader, "FIRST", 4096)
    updates: list[RunUpdate] = []
    follower = RunFollower(tmp_path, lambda _: None, updates.append, lambda error: None)
    follower.watch(long_run(tmp_path))
    looks: list[bool] = []
    thread = threading.Thread(target=lambda: looks.append(follower.poll_run()))
    thread.start()
    wait_for(lambda: updates, "the first update")
    thread.join(0.05)
    assert updates[0].reading
    assert not looks  # it waits, and reads no further
    follower.painted()
    thread.join(10)
    assert looks == [True]


def test_the_meters_of_a_run_at_rest_are_seldom_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readings: list[float] = []

    class Counted(SteadyMeters):
        def read(self, pid: int = 0):
            readings.append(now[0])
            return super().read(pid)

    monkeypatch.setattr(watched, "MeterReader", Counted)
    run, now = lay(tmp_path, "busy", state="running", steps=5), [0.0]
    follows = WatchedRun(run, tmp_path, clock=lambda: now[0])
    with at_work(run):
        for now[0] in (0.0, 0.2, METERS[0], METERS[0] + 0.2, 2 * METERS[0]):
            assert follows.poll().meters is not None
    assert readings == [0.0, METERS[0], 2 * METERS[0]]
    set_status(run, state="finished")
    for now[0] in (3 * METERS[0], 2 * METERS[0] + METERS[1]):
        assert follows.poll().meters is not None
    assert readings[3:] == [2 * METERS[0] + METERS[1]]


def test_a_curve_is_reduced_once_for_all_ways_to_draw_it_and_few_are_kept() -> None:
    history = History()
    history.add([{"step": step, "loss": float(step)} for step in range(1, 100)])
    first = history.curve("loss", "step", 0.6, 20)
    assert history.curve("loss", "step", 0.6, 20) is first
    for start in range(2 * CURVES):
        history.curve("loss", "step", 0.6, 20, (float(start), 200.0))
    assert len(history._curves) <= CURVES
    history.add([{"step": 100, "loss": 100.0}])
    newer = history.curve("loss", "step", 0.6, 20)
    assert newer is not None
    assert newer.last == 100.0
