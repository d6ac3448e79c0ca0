"""A full disk costs records, never the training, and never the reason of an end."""

from __future__ import annotations

import errno
import io
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nanocore.checkpoint.manifest import latest
from nanocore.runs.records import read_all
from nanocore.runs.status import StatusWriter
from nanocore.train import build
from nanocore.train.reporter import Reporter
from tests.run_helpers import make_run, status_of
from tests.tiny import new_run, train

FULL = os.strerror(errno.ENOSPC)
SHORT = ("training.steps=2", "evaluation.every=0")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path / "cache"))


def fill(path: Path) -> None:
    """Let every write to `path` fail as on a full disk."""
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/full")


def test_a_log_that_cannot_be_written_does_not_end_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path, *SHORT)
    full = io.TextIOWrapper(io.FileIO("/dev/full", "w"), write_through=True)  # type: ignore[arg-type]
    monkeypatch.setattr("sys.stdout", full)
    monkeypatch.setattr("sys.stderr", full)
    assert train(run) == 0
    status = status_of(run)
    assert (status.state, status.step) == ("finished", 2)
    assert status.message == f"log lines are not persisted: {FULL}"
    assert latest(run.checkpoints_dir) is not None


def test_lost_records_stand_in_the_log_and_in_the_last_status(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = new_run(tmp_path, *SHORT)
    fill(run.metrics_file)
    assert train(run) == 0
    said = f"metrics are not persisted: {FULL}"
    assert (status_of(run).state, status_of(run).message) == ("finished", said)
    captured = capfd.readouterr()
    assert [line[20:] for line in captured.out.splitlines() if said in line] == [f"ERROR   step 1: {said}"]
    assert captured.err == ""


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_write_that_the_training_needs_ends_it_with_its_reason_and_exit_code_6(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(reason, os.strerror(reason), "run.json")

    monkeypatch.setattr(build, "update_run", refuse)
    run = new_run(tmp_path, *SHORT)
    assert train(run) == 6
    status = status_of(run)
    assert (status.state, status.exit_code) == ("crashed", 6)
    assert (status.step, status.steps, status.tokens) == (0, 2, 0)  # what is known of it before its first step
    advice = "raise the limit of file sizes" if reason == errno.EFBIG else "free some space"
    assert status.message.startswith(f"run.json: nothing more can be written: {os.strerror(reason)}; {advice}")
    assert status.message.endswith(", then resume the run")


def test_a_trainer_that_cannot_open_its_records_says_so_and_frees_the_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = new_run(tmp_path, *SHORT)
    run.layers_file.mkdir()
    for _ in range(2):  # the lock is free again
        assert train(run) == 6
    assert (status_of(run).state, status_of(run).exit_code) == ("crashed", 6)
    assert capfd.readouterr().err.splitlines()[0] == (
        "tiny: the run folder cannot be written: layers.jsonl: Is a directory; "
        "move away the folder that lies in the place of a file, then resume the run"
    )


@pytest.mark.parametrize(("made", "code"), [(False, 2), (True, 1)], ids=["no run", "no torch"])
def test_the_exit_code_survives_an_output_that_cannot_be_flushed(tmp_path: Path, made: bool, code: int) -> None:
    folder = new_run(tmp_path).path if made else tmp_path / "no-run"
    program = """
import runpy, sys
sys.modules["torch"] = None  # not installed, so that the trainer ends at once
runpy.run_module("nanocore.train", run_name="__main__", alter_sys=True)
"""
    command = [sys.executable, "-c", program, str(folder)]
    buffered = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=full, env=buffered, check=False)
    assert done.returncode == code


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_tensorboard_on_a_full_disk_is_one_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path)
    status = StatusWriter(run, attempt=1)
    reporter, threads = Reporter(run, status, 1), threading.active_count()
    reporter.open_tensorboard(run, 0)
    with at_most(4096):
        for reporter.step in range(1, 9):
            reporter.text("samples", "x" * 1000)
    reporter.finish("finished", 0)
    warnings = [event["message"] for event in read_all(run.events_file)]
    assert warnings == [f"TensorBoard output ended: {os.strerror(errno.EFBIG)}"]
    captured = capsys.readouterr()
    assert (captured.out.count("\n"), captured.err) == (1, "")
    assert threading.active_count() < threads  # the heartbeat ended, and no other was begun
