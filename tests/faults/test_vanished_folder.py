"""A trainer whose folder is moved away or deleted ends, and makes nothing anew under the name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nanocore.checkpoint.manifest import commit, step_folder
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import read_all
from nanocore.runs.status import StatusWriter
from nanocore.train import loop
from nanocore.train.job import Job
from tests.run_helpers import make_run
from tests.techniques import SMALL
from tests.tiny import new_run, train


def test_the_trainer_ends_with_a_word_and_leaves_the_place_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path / "cache"))
    run, away = new_run(tmp_path / "runs", *SMALL, "training.steps=400", "checkpoint.every=5"), tmp_path / "away"
    plain = loop.record

    def record(job: Job, *, last: bool = False) -> None:
        plain(job, last=last)
        if job.progress.step == 4:
            run.path.rename(away)

    monkeypatch.setattr(loop, "record", record)
    assert train(run) == 6
    assert not run.path.exists()
    assert "deleted or moved away" in capfd.readouterr().out
    ended = read_all(RunFolder(away).events_file)[-1]
    assert (ended["kind"], ended["exit_code"]) == ("crashed", 6) and ended["step"] < 400


def test_a_status_is_not_written_into_another_run_of_the_name(tmp_path: Path) -> None:
    run = make_run(tmp_path, "name")
    writer = StatusWriter(run, attempt=1, steps=9)
    shutil.rmtree(run.path)
    writer.update(state="running")
    other = make_run(tmp_path, "name")
    writer.update(state="paused")
    writer.finish("crashed", 6)
    assert not other.status_file.exists()


def test_a_checkpoint_does_not_make_the_folder_of_its_run(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    shutil.rmtree(run.checkpoints_dir)
    commit(lambda folder: None, step_folder(run.checkpoints_dir, 5), {})  # the folder of checkpoints alone it does
    shutil.rmtree(run.path)
    with pytest.raises(FileNotFoundError):
        commit(lambda folder: None, step_folder(run.checkpoints_dir, 10), {})
    assert not run.path.exists()
