"""The list of checkpoints, and which may be deleted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nanoconsole.services import checkpoints
from nanocore.checkpoint.manifest import available
from nanocore.errors import CheckpointError, NanoError, UsageError
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import acquire
from nanocore.runs.records import RecordWriter
from tests import command_line
from tests.command_line import Nano
from tests.run_helpers import exit_code, fork, make_run
from tests.tui.checkpoint_scenes import damage, save

nano = command_line.nano


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    found = make_run(tmp_path, "r")
    save(found, 10, 20, 30)
    writer = RecordWriter(found.metrics_file)
    for step, loss in ((10, 2.0), (20, 1.0), (30, 1.5)):
        writer.write({"step": step, "attempt": 1, "eval/ce": loss})
    writer.close()
    return found


def test_sizes_are_looked_at_first_and_hashes_one_after_the_other(run: RunFolder) -> None:
    damage(run, 20)
    found = checkpoints.read(run)
    assert [(saved.step, saved.state, saved.best) for saved in found] == [
        (30, "unread", False), (20, "unread", True), (10, "unread", False),
    ]  # fmt: skip
    told = list(checkpoints.verified(found))
    assert [sum(saved.state == "unread" for saved in each) for each in told] == [2, 1, 0]
    newest, bad, oldest = told[-1]
    assert (newest.state, newest.newest, newest.best) == ("verified", True, True)  # the damaged one is best no more
    assert (bad.state, bad.problem) == ("damaged", "model.safetensors was altered (SHA-256 differs)")
    assert oldest.held_out == 2.0 and oldest.bytes > 100_000
    assert list(checkpoints.verified(found, lambda: False)) == []


def test_a_checkpoint_without_manifest_is_listed_as_damaged(run: RunFolder) -> None:
    (run.checkpoints_dir / "step-00000040").mkdir()
    assert checkpoints.read(run)[0].problem == "manifest.json is missing"
    checkpoints.delete(run.path.parent, run, 40)
    assert checkpoints.read(run)[0].step == 30


def test_the_only_good_one_stays(run: RunFolder) -> None:
    root = run.path.parent
    for step in (10, 30):
        checkpoints.delete(root, run, step)
    with pytest.raises(UsageError, match="only good checkpoint"):
        checkpoints.delete(root, run, 20)
    save(run, 30)
    damage(run, 30)  # its size is right, so only its hash tells
    with pytest.raises(UsageError, match="only good checkpoint"):
        checkpoints.delete(root, run, 20)
    assert len(available(run.checkpoints_dir)) == 2
    with pytest.raises(CheckpointError, match="no checkpoint of step 99"):
        checkpoints.delete(root, run, 99)


def test_two_that_delete_at_once_leave_a_good_one(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    root, remove, codes = run.path.parent, checkpoints.manifest.remove, list[int]()
    checkpoints.delete(root, run, 10)

    def other() -> None:
        try:
            checkpoints.delete(root, run, 30)
        except NanoError as error:
            os._exit(error.exit_code)

    def slowly(path: Path) -> None:
        """The other one comes when this one has already found that it may."""
        codes.append(exit_code(fork(other)))
        remove(path)

    monkeypatch.setattr(checkpoints.manifest, "remove", slowly)
    checkpoints.delete(root, run, 20)
    assert codes == [UsageError.exit_code]
    assert [path.name for path in available(run.checkpoints_dir)] == ["step-00000030"]


def test_those_of_a_run_at_work_and_that_a_fork_begins_with_stay(run: RunFolder) -> None:
    from nanocore.runs.create import update_run

    root, fork = run.path.parent, make_run(run.path.parent.parent, "fork")
    update_run(fork, parent={"run": "r", "step": 10, "optimizer": "kept"})
    with pytest.raises(UsageError, match="fork begins with it"):
        checkpoints.delete(root, run, 10)
    save(fork, 5)
    checkpoints.delete(root, run, 10)
    lock = acquire(run)
    try:
        with pytest.raises(UsageError, match="its trainer is at work"):
            checkpoints.delete(root, run, 20)
    finally:
        lock.release()


def test_the_verb_lists_verifies_and_deletes(nano: Nano) -> None:
    run = make_run(nano.root.parent, "r")
    save(run, 10, 20)
    damage(run, 20)
    found = nano("checkpoints", "r", "--json").data["checkpoints"]
    assert [(saved["step"], saved["state"]) for saved in found] == [(20, "damaged"), (10, "verified")]
    assert "was altered" in nano("checkpoints", "r").out
    assert nano("checkpoints", "r", "--delete", "10").code == 2
    assert nano("checkpoints", "r", "--delete", "20").code == 0
    assert nano("checkpoints", "r", "--delete", "20").code == 5
