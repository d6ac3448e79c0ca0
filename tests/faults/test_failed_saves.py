"""A disk that is full for a while costs checkpoints, one that stays full ends the run; a broken one is never believed."""

from __future__ import annotations

import errno
import os
import resource
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nanocore.checkpoint.manifest import available, step_of
from nanocore.errors import UsageError
from nanocore.runs import create
from nanocore.runs.create import create_run
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import Record
from nanocore.train import checkpoints
from tests.forked import start_real
from tests.run_helpers import events_of, exit_code, status_of, steps_of
from tests.techniques import SMALL
from tests.tiny import new_run, tiny_config, train

EVERY = (*SMALL, "checkpoint.every=2")
ERRORS = {"a full disk": errno.ENOSPC, "a quota": errno.EDQUOT, "a broken disk": errno.EIO}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path / "cache"))


def failing(monkeypatch: pytest.MonkeyPatch, which: Callable[[int], bool], number: int, call: str = "fsync") -> None:
    """Let the saves for whose number (from 1) `which` is true meet an error of the disk at the first flush."""
    true_save, true_call, now = checkpoints.save_checkpoint, getattr(os, call), [0]

    def save(*arguments: Any, **options: Any) -> Path:
        now[0] += 1
        try:
            monkeypatch.setattr(os, call, refuse if which(now[0]) else true_call)
            return true_save(*arguments, **options)
        finally:
            monkeypatch.setattr(os, call, true_call)

    def refuse(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(checkpoints, "save_checkpoint", save)


def steps(run: RunFolder) -> list[int]:
    return [step_of(path) for path in available(run.checkpoints_dir)]


def warnings(run: RunFolder) -> list[str]:
    return [event["message"] for event in events_of(run, "warning")]


@pytest.mark.parametrize("what", ERRORS)
def test_training_goes_on_and_the_next_turn_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    failing(monkeypatch, lambda save: save in (2, 3), ERRORS[what])
    run = new_run(tmp_path, *EVERY)
    assert train(run) == 0
    assert (status_of(run).state, steps(run)) == ("finished", [2, 8])
    assert [message[:13] for message in warnings(run)] == ["step-00000004", "step-00000006"]
    assert all(os.strerror(ERRORS[what]) in message for message in warnings(run))
    assert all((" it needs " in message) == (what != "a broken disk") for message in warnings(run))


@pytest.mark.parametrize(("number", "advice"), [(errno.ENOSPC, "free some space"), (errno.EIO, "check the disk")])
def test_the_third_failure_in_a_row_ends_the_run_with_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    failing(monkeypatch, lambda save: save > 1, number)
    run = new_run(tmp_path, *EVERY, "training.steps=100")
    assert train(run) == 6
    assert (status_of(run).state, steps_of(run)[-1], steps(run)) == ("crashed", 8, [2])
    assert f"3 checkpoints in a row could not be saved; {advice}, then resume the run" in status_of(run).message
    assert list(run.checkpoints_dir.glob(".*")) == []


def test_a_limit_of_file_size_is_a_full_disk_and_the_message_says_how_much_is_needed(tmp_path: Path) -> None:
    run = new_run(tmp_path, *EVERY, "training.steps=100")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))

    new_run(tmp_path, *EVERY, "training.steps=1", name="prepares")
    assert train(RunFolder(tmp_path / "prepares")) == 0
    assert exit_code(start_real(run, prepare=limit)) == 6
    said = warnings(run)
    assert len(said) == 3
    assert f"needs {_tensor_bytes(tmp_path / 'prepares'):,} bytes in {run.checkpoints_dir}" in said[0]
    assert "ulimit -f" in said[0]


def _tensor_bytes(run: Path) -> int:
    from safetensors.torch import load_file

    (path,) = available(run / "checkpoints")
    files = ("model.safetensors", "optim.safetensors")
    return sum(tensor.nbytes for file in files for tensor in load_file(path / file).values())


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As a read-only disk refuses; this test may run as a user whom no mode keeps out."""
    true_write = create.write_document

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(create, "write_document", refuse)
    with pytest.raises(UsageError, match="a run cannot be made here") as caught:
        create_run(tmp_path / "runs", tiny_config(), name="never")
    assert caught.value.exit_code == 2
    assert list((tmp_path / "runs").iterdir()) == []
    monkeypatch.setattr(create, "write_document", true_write)
    assert create_run(tmp_path / "runs", tiny_config(), name="never").run_file.exists()


def test_a_failure_that_was_overcome_counts_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, lambda save: save % 3 != 0, errno.ENOSPC)
    run = new_run(tmp_path, *EVERY, "training.steps=12", "checkpoint.every=1")
    assert train(run) == 0
    assert steps(run) == [3, 6, 9, 12]
    event: Record = events_of(run, "finished")[0]
    assert event["exit_code"] == 0
