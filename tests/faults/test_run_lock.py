"""One process works on a run; the lock cannot be lost by looking, nor kept by the dead."""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path

import pytest

from nanocore.errors import BusyError, UsageError
from nanocore.runs.documents import write_document
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import acquire, lock_owner, observe
from nanocore.runs.steer import force_stop
from tests.run_helpers import exit_code, fork, make_run, start_fake, status_of_me, steps_of, wait_for


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make_run(tmp_path)


def _snapshot(run: RunFolder) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in run.path.rglob("*") if path.is_file()}


def _refused(run: RunFolder) -> int:
    """Exit code of another process that tries to take the run."""

    def attempt() -> None:
        try:
            acquire(run)
        except BusyError as error:
            os._exit(error.exit_code)

    return exit_code(fork(attempt))


def test_a_second_process_is_told_who_is_busy_and_changes_nothing(run: RunFolder) -> None:
    owner = fork(lambda: (acquire(run), signal.pause()))
    wait_for(lambda: lock_owner(run) == owner and run.lock_file.read_bytes())
    before = _snapshot(run)
    with pytest.raises(BusyError, match=rf"busy: pid {owner}, host \S+, since \d{{4}}-") as caught:
        acquire(run)
    assert caught.value.exit_code == 75
    assert _snapshot(run) == before
    os.kill(owner, signal.SIGKILL)
    exit_code(owner)
    acquire(run).release()


def test_the_same_process_cannot_take_a_run_twice(run: RunFolder) -> None:
    lock = acquire(run)
    with pytest.raises(BusyError):
        acquire(run)
    assert _refused(run) == 75
    lock.release()
    assert _refused(run) == 0


def test_looking_does_not_drop_ones_own_lock(run: RunFolder, tmp_path: Path) -> None:
    """Closing any descriptor of LOCK would free it; also by another path to the same folder."""
    (tmp_path / "link").symlink_to(run.path)
    lock = acquire(run)
    for folder in (run, RunFolder(tmp_path / "link")):
        assert lock_owner(folder) == os.getpid()
        assert observe(folder).alive
        with pytest.raises(BusyError):
            acquire(folder)
    assert _refused(run) == 75
    lock.release()


def test_a_forked_child_does_not_believe_it_holds_the_lock(run: RunFolder) -> None:
    lock = acquire(run)
    parent = os.getpid()
    assert exit_code(fork(lambda: os._exit(0 if lock_owner(run) == parent else 1))) == 0
    assert _refused(run) == 75

    def look_after_the_release() -> None:
        wait_for(run.notes_file.exists)
        os._exit(0 if lock_owner(run) is None else 1)

    child = fork(look_after_the_release)
    lock.release()
    run.notes_file.touch()
    assert exit_code(child) == 0


def test_the_lock_is_free_after_kill_9_though_a_forked_worker_lives(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = start_fake(run, monkeypatch, fork=1, steps=100_000)
    wait_for(lambda: steps_of(run))
    (worker,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: lock_owner(run) is None)
    assert Path(f"/proc/{worker}").exists()
    acquire(run).release()
    os.kill(int(worker), signal.SIGKILL)


def test_a_reused_pid_is_not_the_trainer_and_gets_no_signal(run: RunFolder) -> None:
    """run.status names a living process by pid, but that process started at another time."""
    bystander = fork(signal.pause)
    me = status_of_me()
    write_document(run.status_file, status_of_me(state="running", pid=bystander, start_ticks=me.start_ticks - 10))
    assert (observe(run).state, observe(run).alive) == ("crashed", False)
    with pytest.raises(UsageError, match="no trainer"):
        force_stop(run)
    acquire(run).release()
    assert os.waitpid(bystander, os.WNOHANG) == (0, 0)
    os.kill(bystander, signal.SIGKILL)
    exit_code(bystander)


def test_a_trainer_whose_lock_file_was_deleted_still_counts(run: RunFolder) -> None:
    from nanocore.runs.status import StatusWriter

    def train() -> None:
        acquire(run)
        StatusWriter(run, attempt=1).update(state="running")
        signal.pause()

    trainer = fork(train)
    wait_for(lambda: observe(run).state == "running")
    run.lock_file.unlink()
    assert observe(run).alive
    assert "without the run's lock" in observe(run).text
    with pytest.raises(BusyError, match=re.escape(f"pid {trainer}")):
        acquire(run)
    assert force_stop(run) == "SIGTERM"
    assert exit_code(trainer) == -signal.SIGTERM
    acquire(run).release()


def test_a_trainer_that_let_go_of_the_lock_without_a_last_word_is_ending(run: RunFolder) -> None:
    """As on a full disk: its status says that it runs, and it needs a second to leave the interpreter."""
    from nanocore.runs.status import StatusWriter

    def train() -> None:
        log = run.log_file.open("a")
        lock = acquire(run)
        StatusWriter(run, attempt=1).update(state="running")
        lock.release()
        log.write("more")
        signal.pause()

    trainer = fork(train)
    wait_for(lambda: observe(run).text == "running (ending)")
    assert (observe(run).alive, observe(run).pid) == (True, trainer)
    os.kill(trainer, signal.SIGKILL)
    exit_code(trainer)
    assert observe(run).state == "crashed"


def test_a_copy_of_a_run_at_work_is_not_at_work_and_stopping_it_leaves_the_trainer_alone(
    run: RunFolder, tmp_path: Path
) -> None:
    """As after `cp -r`: the copy's status names the trainer of the original."""
    from nanocore.runs.status import StatusWriter

    def train() -> None:
        acquire(run)
        StatusWriter(run, attempt=1).update(state="running")
        signal.pause()

    trainer = fork(train)
    wait_for(lambda: observe(run).state == "running")
    copy = RunFolder(Path(shutil.copytree(run.path, tmp_path / "copy")))
    assert (observe(copy).state, observe(copy).alive) == ("crashed", False)
    with pytest.raises(UsageError, match="no trainer"):
        force_stop(copy)
    acquire(copy).release()
    assert observe(run).alive
    assert force_stop(run) == "SIGTERM"
    assert exit_code(trainer) == -signal.SIGTERM


def test_a_lock_that_is_a_link_is_refused(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    run.lock_file.symlink_to(tmp_path / "precious")
    assert lock_owner(run) is None
    with pytest.raises(UsageError, match="cannot be opened"):
        acquire(run)
    assert (tmp_path / "precious").read_text() == "kept"
