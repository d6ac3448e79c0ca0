"""The real trainer ends when it is asked to, in whatever phase: saved, with its code, and at once when asked again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from nanocore.checkpoint.manifest import latest, step_of
from nanocore.runs.control import send
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import observe
from nanocore.runs.steer import SAVE_SECONDS
from nanocore.train import build, evaluate, measure, signals
from nanocore.train.orders import Orders
from tests.forked import end, in_phase, start_real
from tests.quick import quick
from tests.run_helpers import events_of, exit_code, fork, status_of, wait_for
from tests.techniques import SMALL
from tests.tiny import new_run, train

LONG = ("training.steps=1000000", "evaluation.every=0", "checkpoint.every=0")
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}
Start = Callable[..., int]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def start() -> Iterator[Start]:
    """`start_real`, with nothing left behind."""
    pids: list[int] = []

    def begin(*arguments: object, **options: object) -> int:
        pids.append(start_real(*arguments, **options))  # type: ignore[arg-type]
        return pids[-1]

    yield begin
    for pid in pids:
        end(pid)


def without_end(module: object, name: str) -> Callable[[], object]:
    """Let a function of the trainer never look at what it is asked, as a library does in one long call."""
    return lambda: pytest.MonkeyPatch().setattr(module, name, lambda *_, **__: time.sleep(60))


def saved(run: RunFolder) -> int:
    path = latest(run.checkpoints_dir)
    return step_of(path) if path else 0


@pytest.mark.parametrize("number", CODES)
def test_a_signal_while_it_trains_saves_the_step_it_was_at(
    tmp_path: Path, start: Start, number: signal.Signals
) -> None:
    run = new_run(tmp_path, *SMALL, *LONG)
    pid = start(run)
    in_phase(run, "training", pid)
    wait_for(lambda: status_of(run).step >= 2)
    os.kill(pid, number)
    assert exit_code(pid) == CODES[number]
    assert (status_of(run).state, status_of(run).exit_code) == ("stopped", CODES[number])
    assert saved(run) == status_of(run).step > 0


@pytest.mark.parametrize("asked", ["signal", "stop"])
@pytest.mark.parametrize("phase", ["evaluating", "sampling"])
def test_a_long_evaluation_or_sample_is_broken_off(tmp_path: Path, start: Start, phase: str, asked: str) -> None:
    settings = {
        "evaluating": ("evaluation.every=2", "evaluation.tokens=100000", "data.validation_fraction=0.4"),
        "sampling": ("evaluation.sample_every=2", "evaluation.sample_tokens=100000"),
    }[phase]
    run = new_run(tmp_path, *SMALL, *LONG, *settings)
    slow = None if phase == "sampling" else _slow_evaluation
    pid = start(run, prepare=slow)
    in_phase(run, phase, pid)
    os.kill(pid, signal.SIGTERM) if asked == "signal" else send(run, "stop")
    assert exit_code(pid) == (143 if asked == "signal" else 0)
    assert status_of(run).state == "stopped"
    assert saved(run) == 2
    assert "broken off" in run.log_file.read_text()
    assert not events_of(run, "eval") and not events_of(run, "sample")


def _slow_evaluation() -> None:
    """As of a large model: a tenth of a second for each batch."""
    true_loss = evaluate._loss

    def slow(*arguments: Any) -> Any:
        time.sleep(0.1)
        return true_loss(*arguments)

    pytest.MonkeyPatch().setattr(evaluate, "_loss", slow)


@pytest.mark.parametrize("phase", quick(("preparing", "building"), "building"))
def test_a_library_that_hears_nothing_is_left_when_there_is_nothing_to_save(
    tmp_path: Path, start: Start, phase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vocabulary that is learned, a model that is compiled."""
    assert signals.GRACE < SAVE_SECONDS
    monkeypatch.setattr(signals, "GRACE", 0.4)
    run = new_run(tmp_path, *SMALL, *LONG)
    pid = start(run, prepare=without_end(build, "prepare" if phase == "preparing" else "_core"))
    in_phase(run, phase, pid)
    os.kill(pid, signal.SIGTERM)
    assert exit_code(pid) == 143
    assert (status_of(run).state, status_of(run).exit_code) == ("stopped", 143)
    assert "nothing to save" in observe(run).reason


def test_a_stop_while_a_checkpoint_is_written_waits_for_it(tmp_path: Path, start: Start) -> None:
    run = new_run(tmp_path, *SMALL, *LONG, "checkpoint.every=3")

    def slow_disk() -> None:
        true_sync = os.fsync
        pytest.MonkeyPatch().setattr(os, "fsync", lambda descriptor: (time.sleep(0.15), true_sync(descriptor)))

    pid = start(run, prepare=slow_disk)
    in_phase(run, "saving", pid)
    os.kill(pid, signal.SIGTERM)
    assert exit_code(pid) == 143
    assert (saved(run), status_of(run).step) == (3, 3)


def test_a_second_signal_ends_at_once_and_leaves_the_last_checkpoint(tmp_path: Path, start: Start) -> None:
    run = new_run(tmp_path, *SMALL, *LONG, "checkpoint.every=3")
    pid = start(run, fail="checkpoint.rename:2:hang")
    in_phase(run, "training", pid)
    wait_for(lambda: saved(run) == 3 and list(run.checkpoints_dir.glob(".step-*6.tmp-*/manifest.json")))
    os.kill(pid, signal.SIGINT)
    time.sleep(0.1)  # the same signal twice at once is one
    os.kill(pid, signal.SIGINT)
    assert exit_code(pid) == 130
    assert observe(run).text == "crashed: ended at once by a second signal, SIGINT, without saving"
    assert "second signal, SIGINT" in run.log_file.read_text().splitlines()[-1]
    assert saved(run) == 3
    resumed = start(run)
    in_phase(run, "training", resumed)
    os.kill(resumed, signal.SIGTERM)
    assert exit_code(resumed) == 143


def test_words_that_cannot_be_written_do_not_delay_a_forced_end() -> None:
    def trainer() -> None:
        orders = Orders(unsaved=True, forced=lambda *_: time.sleep(60))  # a disk that does not answer
        with signals.listening(orders):
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.1)
            time.sleep(50)

    assert exit_code(fork(trainer)) == 143


def test_nothing_of_a_killed_trainer_lives_on(tmp_path: Path, start: Start) -> None:
    run = new_run(tmp_path, *SMALL, *LONG, "data.workers=4")
    pid = start(run)
    in_phase(run, "training", pid)
    family = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    os.kill(pid, signal.SIGKILL)
    assert exit_code(pid) == -signal.SIGKILL
    wait_for(lambda: not any(psutil.pid_exists(each) for each in family), "the end of its processes")
    assert not [each for each in psutil.process_iter() if _session(each.pid) == pid]


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def test_a_run_that_is_done_and_asked_to_stop_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path, *SMALL, "training.steps=2", "evaluation.every=0")
    true_save = measure.measure

    def ask(job: object) -> None:
        send(run, "stop")
        true_save(job)  # type: ignore[arg-type]

    monkeypatch.setattr("nanocore.train.loop.measure", ask)
    assert train(run) == 0
    assert (status_of(run).state, saved(run)) == ("finished", 2)
