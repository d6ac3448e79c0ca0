"""A pipe, a link or a folder where a run has a file: nobody waits for it, nothing is written through it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nanoconsole.cli.view import RunView
from nanoconsole.services.samples import read_sample
from nanocore.errors import ResourceError, UsageError
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import acquire, lock_owner, observe
from nanocore.runs.log import last_lines
from nanocore.runs.records import RecordWriter
from nanocore.runs.spawn import spawn_trainer
from tests.run_helpers import make_run


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    """A run; whoever waits for a pipe in it is ended."""
    previous = signal.signal(signal.SIGALRM, _waited)
    signal.alarm(20)
    yield make_run(tmp_path)
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


def _waited(*_: object) -> None:
    raise AssertionError("it waits for a pipe")


def test_a_pipe_in_the_place_of_the_lock_holds_up_nobody(run: RunFolder) -> None:
    os.mkfifo(run.lock_file)
    assert lock_owner(run) is None
    assert observe(run).state == "created"
    with pytest.raises(UsageError, match="it is not a regular file"):
        acquire(run)


def test_a_pipe_in_the_place_of_the_log_is_no_log(run: RunFolder) -> None:
    os.mkfifo(run.log_file)
    assert last_lines(run.log_file) == []
    with pytest.raises(ResourceError, match=r"cannot be started: (it is not a regular file|No such device)"):
        spawn_trainer(run, module="tests.fake_trainer")


def test_no_trainer_prints_through_a_link(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    run.log_file.symlink_to(tmp_path / "precious")
    with pytest.raises(ResourceError, match="cannot be started"):
        spawn_trainer(run, module="tests.fake_trainer")
    assert (tmp_path / "precious").read_text() == "kept"


def test_records_do_not_vanish_in_a_pipe(run: RunFolder) -> None:
    os.mkfifo(run.metrics_file)
    with pytest.raises(OSError, match="is a pipe"):
        RecordWriter(run.metrics_file)


def test_a_pipe_is_no_sample(run: RunFolder) -> None:
    os.mkfifo(run.sample_file(3))
    assert read_sample(run, 3).problem == "cannot be read: it is not a regular file"
    assert RunView(run)._sample_lines({"step": 3}) == []


def test_a_sample_replaces_a_pipe_in_its_place(run: RunFolder) -> None:
    from nanocore.train.measure import _save_sample

    os.mkfifo(run.sample_file(3))
    told = SimpleNamespace(event=lambda *_, **__: None, text=lambda *_: None)
    _save_sample(cast(Any, SimpleNamespace(run=run, progress=SimpleNamespace(step=3), reporter=told)), "text \udcff")
    assert run.sample_file(3).read_text() == "text \\udcff"


def test_a_vocabulary_taken_from_a_parent_is_whole_or_not_there(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nanocore.config.schema import Config
    from nanocore.train import build

    def die(_: int) -> None:
        raise OSError("killed before it was on the disk")

    monkeypatch.setattr(build, "starting_checkpoint", lambda _: run.path)
    monkeypatch.setattr(build, "load_checkpoint", lambda *_, **__: SimpleNamespace(tokenizer_json="{}"))
    monkeypatch.setattr("nanocore.runs.documents.os.fsync", die)
    data = Config().data.model_copy(update={"tokenizer": "bpe"})
    with pytest.raises(OSError, match="killed"):
        build._with_parent_vocabulary(run, data)
    assert not run.tokenizer_file.exists()
    monkeypatch.undo()
