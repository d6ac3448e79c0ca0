"""status.json shows a living process by `alive`, work by `progress`, and a last word."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from nanocore.errors import UsageError
from nanocore.runs import status as module
from nanocore.runs.documents import write_document
from nanocore.runs.liveness import observe
from nanocore.runs.records import RecordWriter
from nanocore.runs.spawn import spawn_trainer
from nanocore.runs.status import Status, StatusWriter, next_attempt, read_status
from tests.run_helpers import make_run, short, wait_for


@pytest.fixture(autouse=True)
def fast_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.01)


def test_the_heart_beats_while_the_main_thread_works(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    writer = StatusWriter(run, attempt=1, steps=10)
    wait_for(lambda: (read_status(run) or Status()).alive >= 3)
    seen = read_status(run)
    assert seen is not None
    assert (seen.pid, seen.attempt, seen.steps, seen.state, seen.progress) == (os.getpid(), 1, 10, "starting", 0)
    assert seen.identity.lives()
    writer.finish("finished", 0)


def test_progress_counts_updates_and_reaches_the_file(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    writer = StatusWriter(run, attempt=1)
    for step in range(1, 51):
        writer.update(phase="training", step=step, tokens=step * 10)
    wait_for(lambda: (read_status(run) or Status()).progress == 50)
    seen = read_status(run)
    assert seen is not None
    assert (seen.phase, seen.step, seen.tokens) == ("training", 50, 500)
    writer.finish("finished", 0)


def test_a_change_of_state_is_written_at_once(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    writer = StatusWriter(run, attempt=1)
    writer.update(state="running", phase="training")
    seen = read_status(run)
    assert seen is not None
    assert seen.state == "running"
    writer.finish("finished", 0)


def test_the_last_word_stays(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    writer = StatusWriter(run, attempt=3)
    writer.finish("stopped", 143, "stopped at step 9")
    writer.finish("crashed", 1, "too late")
    seen = read_status(run)
    assert seen is not None
    assert (seen.state, seen.exit_code, seen.message, seen.attempt) == ("stopped", 143, "stopped at step 9", 3)
    assert not [path for path in run.path.iterdir() if "tmp" in path.name]


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b'{"step":"x"}', b"\0" * 300, b"[" * 100_000, b'{"pid":"\xff"}'], ids=short
)
def test_a_status_that_cannot_be_read_is_none(tmp_path: Path, text: bytes) -> None:
    run = make_run(tmp_path)
    run.status_file.write_bytes(text)
    assert read_status(run) is None


def test_a_status_of_a_newer_version_is_not_read_as_one_of_ours(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.status_file.write_text('{"schema": 999, "state": "running", "step": 5, "invented": [1]}')
    assert read_status(run) is None
    assert observe(run).text == (
        "unknown: its status was written by a newer version of nanoconsole (schema 999, this one knows 1)"
    )
    with pytest.raises(UsageError, match="newer version"):
        spawn_trainer(run, module="tests.fake_trainer")


def test_attempts_are_numbered_even_when_the_status_is_lost(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    assert next_attempt(run) == 1
    write_document(run.status_file, Status(state="stopped", pid=1, attempt=1))
    assert next_attempt(run) == 2
    RecordWriter(run.events_file).write({"kind": "started", "attempt": 4})
    run.status_file.unlink()
    assert next_attempt(run) == 5


def test_the_announcement_of_a_trainer_keeps_its_number(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    write_document(run.status_file, Status(state="starting", pid=0, attempt=7))
    assert next_attempt(run) == 7


def test_a_trainer_that_died_unheard_leaves_its_number_to_nobody(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    write_document(run.status_file, Status(state="starting", pid=0, attempt=2))
    RecordWriter(run.events_file).write({"kind": "crashed", "attempt": 2, "exit_code": -15})
    assert next_attempt(run) == 3


@pytest.mark.parametrize("number", [2**31, 2**53 + 1, 10**25, -1, "7", None])
def test_a_damaged_number_of_an_attempt_is_none(tmp_path: Path, number: object) -> None:
    """Else the records of all further attempts would have a number that no reader takes, and never be shown."""
    run = make_run(tmp_path)
    RecordWriter(run.events_file).write({"kind": "started", "attempt": 4})
    RecordWriter(run.events_file).write({"kind": "started", "attempt": number})
    assert next_attempt(run) == 5


def test_a_status_that_cannot_be_written_at_all_says_why_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is advised depends on it."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "status.json")

    monkeypatch.setattr("nanocore.runs.status.write_document", full)
    with pytest.raises(OSError, match="No space left") as refused:
        StatusWriter(make_run(tmp_path), attempt=1)
    assert (refused.value.errno, refused.value.filename) == (errno.ENOSPC, None)
