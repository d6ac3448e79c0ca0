"""The training text, the machine or the version is another one when a run goes on: refused or told, never silent."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nanocore.checkpoint.manifest import latest
from nanocore.config.toml import save
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import observe
from nanocore.train import checkpoints
from tests.forked import start_real
from tests.quick import quick
from tests.run_helpers import events_of, exit_code, status_of, steps_of, wait_for
from tests.state_of import state_of
from tests.techniques import SMALL
from tests.tiny import new_run, tiny_config, train

TEXT = "One two three four five six seven eight nine ten. "


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def sets(tmp_path: Path) -> tuple[str, ...]:
    """A run on twenty files, four steps long."""
    (tmp_path / "text").mkdir()
    for number in range(20):
        (tmp_path / "text" / f"{number:02}.txt").write_text(f"{number} {TEXT * 4}")
    source = f'data.sources=[{{kind="files", paths=["{tmp_path}/text/*.txt"]}}]'
    return (*SMALL, source, "data.validation_fraction=0.3", "training.steps=4")


def halved(tmp_path: Path, sets: tuple[str, ...]) -> RunFolder:
    """A run that made four of its eight steps."""
    run = new_run(tmp_path / "runs", *sets)
    assert train(run) == 0
    save(tiny_config(*sets, "training.steps=8"), run.config_file)
    return run


CHANGES: dict[str, Callable[[Path], object]] = {
    "edited": lambda folder: (folder / "03.txt").write_text("3 quite another text " * 20),
    "grown": lambda folder: (folder / "20.txt").write_text("a new one " * 20),
    "a file gone": lambda folder: (folder / "03.txt").unlink(),
}


@pytest.mark.parametrize("change", quick(CHANGES, "edited", "a file gone"))
def test_text_that_changed_is_refused_and_nothing_is_touched(
    tmp_path: Path, sets: tuple[str, ...], change: str
) -> None:
    run = halved(tmp_path, sets)
    before = {path.name for path in run.checkpoints_dir.iterdir()}
    CHANGES[change](tmp_path / "text")
    assert train(run) == 2
    status = status_of(run)
    assert "the training text is not the one this run began with" in status.message and "--from" in status.message
    assert {path.name for path in run.checkpoints_dir.iterdir()} == before
    assert steps_of(run)[-1] == 4


def test_text_that_is_gone_is_refused_until_it_is_back(tmp_path: Path, sets: tuple[str, ...]) -> None:
    run = halved(tmp_path, sets)
    (tmp_path / "text").rename(tmp_path / "moved")
    assert train(run) == 2
    assert "text" in status_of(run).message
    (tmp_path / "moved").rename(tmp_path / "text")
    assert train(run) == 0
    assert steps_of(run)[-1] == 8


def test_a_disk_that_cannot_be_read_is_one_line(
    tmp_path: Path, sets: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path / "runs", *sets)
    true_open = Path.open

    def refuse(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.suffix == ".txt":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return true_open(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    assert train(run) == 2
    status = status_of(run)
    assert (status.state, status.exit_code) == ("crashed", 2)
    assert "Input/output error" in status.message and "\n" not in status.message


def test_prepared_text_that_is_cut_under_the_trainer_is_a_crash_that_a_resume_heals(
    tmp_path: Path, sets: tuple[str, ...]
) -> None:
    """Reading a mapped file beyond its end is a signal, not an error."""
    long = (*sets, "training.steps=100000", "checkpoint.every=2")
    run = new_run(tmp_path / "runs", *long)
    pid = start_real(run)
    wait_for(lambda: latest(run.checkpoints_dir), "a checkpoint")
    for tokens in (tmp_path / "cache").rglob("train-0.tokens"):
        os.truncate(tokens, 0)
    assert exit_code(pid) == -signal.SIGBUS
    assert "SIGBUS" in observe(run).reason
    assert "Fatal Python error: Bus error" in run.log_file.read_text()
    reached = latest(run.checkpoints_dir)
    assert reached is not None
    pid = start_real(run)
    wait_for(lambda: status_of(run).step > int(reached.name[5:]) + 2, "further steps")
    os.kill(pid, signal.SIGTERM)
    assert exit_code(pid) == 143


OTHER = {"threads": 2, "torch": "2.99.0", "device_name": "another processor", "world": 4, "dtype": "bfloat16"}


def test_another_machine_is_told_key_by_key_and_the_run_goes_on(
    tmp_path: Path, sets: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = halved(tmp_path, sets)
    true_facts, path = checkpoints.machine_facts, latest(run.checkpoints_dir)
    assert path is not None
    facts = json.loads((path / "state.json").read_text())["state"]["machine"]
    monkeypatch.setattr(checkpoints, "machine_facts", lambda job: {**true_facts(job), **OTHER})
    assert train(run) == 0
    said = [event["message"] for event in events_of(run, "warning") if "bit-exact" in event["message"]]
    assert sorted(said) == sorted(f"not bit-exact: {key} {facts[key]} -> {value}" for key, value in OTHER.items())


def test_the_same_machine_is_not_told(tmp_path: Path, sets: tuple[str, ...]) -> None:
    run = halved(tmp_path, sets)
    assert train(run) == 0
    assert not [event for event in events_of(run, "warning") if "bit-exact" in event["message"]]


@pytest.mark.slow
def test_another_number_of_threads_is_told_by_the_trainer_itself(tmp_path: Path, sets: tuple[str, ...]) -> None:
    run = halved(tmp_path, sets)
    save(tiny_config(*sets, "training.steps=8", "hardware.threads=2"), run.config_file)
    assert exit_code(start_real(run)) == 0
    assert "not bit-exact: threads 1 -> 2" in [event["message"] for event in events_of(run, "warning")]
    assert state_of(run)["progress"]["step"] == 8
