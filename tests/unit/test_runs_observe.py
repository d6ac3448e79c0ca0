"""What a run is doing follows from lock and identity, in plain words."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from nanocore.checkpoint.manifest import commit, step_folder
from nanocore.runs import spawn
from nanocore.runs.documents import write_document
from nanocore.runs.identity import Identity, boot_id, host_name
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import acquire, observe
from nanocore.runs.records import RecordWriter, read_all
from nanocore.runs.status import Status
from tests.run_helpers import exit_code, fork, make_run, status_of_me


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make_run(tmp_path)


def _dead_status(**fields: object) -> Status:
    """The status of a process of this boot that is gone."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    facts = {"pid": child, "start_ticks": 1, "boot_id": boot_id(), "host": host_name(), "state": "running", **fields}
    return Status(**facts)  # type: ignore[arg-type]


def test_a_new_run_is_created(run: RunFolder) -> None:
    assert observe(run).text == "created, never started"


@pytest.mark.parametrize("missing", ["folder", "run.json"])
def test_a_run_whose_folder_is_not_there_is_gone(run: RunFolder, missing: str) -> None:
    write_document(run.status_file, Status(state="finished"))
    shutil.rmtree(run.path) if missing == "folder" else run.run_file.unlink()
    assert observe(run).text == "gone: its folder was deleted or moved"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"schema":1,"state":5}', "its status cannot be read: "),
        ('{"schema":1,"state":"dancing"}', "its status cannot be read: "),
        ('{"schema":1,"state":"finished","step":-5}', "its status cannot be read: "),
        ('{"schema":1,"state":"finished","exit_code":1e9}', "its status cannot be read: "),
        ("{", "its status cannot be read: "),
        ('{"schema":2,"state":"running"}', "its status was written by a newer version of nanoconsole"),
    ],
)
def test_a_status_that_cannot_be_read_is_not_taken_for_none(run: RunFolder, text: str, words: str) -> None:
    run.status_file.write_text(text)
    seen = observe(run)
    assert (seen.state, seen.alive, seen.at_work) == ("unknown", False, False)
    assert seen.reason.startswith(words)


@pytest.mark.parametrize("left", ["metrics", "checkpoint"])
def test_a_run_without_status_that_has_trained_was_started(run: RunFolder, left: str) -> None:
    if left == "metrics":
        RecordWriter(run.metrics_file).write({"step": 1})
    else:
        commit(lambda folder: (folder / "x").touch(), step_folder(run.checkpoints_dir, 1), {})
    assert observe(run).text == "unknown: its status cannot be read: it is missing"


def test_a_held_lock_means_alive(run: RunFolder) -> None:
    lock = acquire(run)
    assert observe(run).text == "starting"
    write_document(run.status_file, status_of_me(state="running", phase="evaluating"))
    state = observe(run)
    assert (state.state, state.alive, state.pid, state.text) == ("running", True, os.getpid(), "running (evaluating)")
    lock.release()


def test_an_old_status_says_nothing_about_the_new_owner(run: RunFolder) -> None:
    write_document(run.status_file, _dead_status(state="finished"))
    lock = acquire(run)
    assert (observe(run).state, observe(run).alive) == ("starting", True)
    lock.release()


@pytest.mark.parametrize("state", ["finished", "stopped", "crashed", "diverged"])
def test_a_last_word_is_believed(run: RunFolder, state: str) -> None:
    write_document(run.status_file, Status(state=state, phase="ended", message="because\nof this"))
    seen = observe(run)
    assert (seen.state, seen.alive, seen.text) == (state, False, f"{state}: because of this")


def test_running_without_a_process_is_crashed_with_the_last_line_of_the_log(run: RunFolder) -> None:
    write_document(run.status_file, _dead_status())
    run.log_file.write_text("step 1\nstep 2 \x1b]0;x\x07\n\n")
    assert observe(run).text == (
        "crashed: it ended without a word (killed, or memory ran out); last line of its log: step 2 ␛]0;x␇"
    )


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("Traceback (most recent call last):\n  File x\nValueError: bad shape\n", "ValueError: bad shape"),
        ("torch.OutOfMemoryError: no memory\n", "torch.OutOfMemoryError: no memory"),
        (
            "Fatal Python error: Segmentation fault\n\nCurrent thread 0x1 (most recent call first):\n  x\n",
            "killed by SIGSEGV",
        ),
        ("Fatal Python error: Aborted\n", "killed by SIGABRT"),
        ("", "it ended without a word (killed, or memory ran out); last line of its log: none"),
    ],
)
def test_the_log_explains_a_crash(run: RunFolder, log: str, words: str) -> None:
    write_document(run.status_file, _dead_status())
    run.log_file.write_text(log)
    assert observe(run).reason == words


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (-9, "killed by SIGKILL, perhaps because memory ran out"),
        (-11, "killed by SIGSEGV"),
        (7, "it ended with exit code 7"),
    ],
)
def test_a_witness_names_signal_or_exit_code(run: RunFolder, code: int, words: str) -> None:
    write_document(run.status_file, _dead_status(attempt=2))
    events = RecordWriter(run.events_file)
    events.write({"kind": "crashed", "attempt": 1, "exit_code": -6})
    events.write({"kind": "crashed", "attempt": 2, "exit_code": code})
    assert observe(run).reason == words


def test_a_witness_that_wakes_late_says_nothing_of_the_attempt_after_its_own(run: RunFolder) -> None:
    write_document(
        run.status_file, Status(state="starting", attempt=2)
    )  # announced while the first one's witness slept
    for attempt in (1, 2):
        spawn._witness(run, subprocess.Popen(["false"]), attempt)
    assert [(record["attempt"], record["exit_code"]) for record in read_all(run.events_file)] == [(2, 1)]


def test_another_boot_means_the_machine_restarted(run: RunFolder) -> None:
    write_document(run.status_file, status_of_me(state="running", boot_id="another"))
    assert observe(run).text == "crashed: the machine restarted while it ran"


def test_another_host_is_elsewhere(run: RunFolder) -> None:
    write_document(run.status_file, status_of_me(state="running", host="node-17"))
    assert observe(run).text == "elsewhere: it was last seen running on host node-17"


def test_an_announced_trainer_starts_and_one_that_never_came_crashed(run: RunFolder) -> None:
    coming = {"state": "starting", "pid": 0, "boot_id": boot_id(), "host": host_name(), "start_ticks": 0}
    write_document(run.status_file, status_of_me(**coming, launched=time.monotonic()))
    assert observe(run).state == "starting"
    write_document(run.status_file, status_of_me(**coming, launched=time.monotonic() - 60))
    assert observe(run).state == "crashed"


def test_identity_tells_a_reused_pid_from_the_process_that_was_meant() -> None:
    me = Identity.mine()
    assert me.lives()
    assert not Identity(me.pid, me.start_ticks - 1, me.boot_id, me.host).lives()
    assert not Identity(me.pid, me.start_ticks, "another boot", me.host).lives()
    assert not Identity(0, 0, me.boot_id, me.host).lives()
    assert Identity.of(2**22 + 1) is None


def test_a_zombie_is_not_alive() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert Identity.of(child) is None
    os.waitpid(child, 0)


def test_a_process_with_a_strange_name_is_still_identified() -> None:
    def renamed() -> None:
        Path("/proc/self/comm").write_text("a) R (b")
        assert Identity.mine().pid == os.getpid()
        assert Identity.mine().lives()

    assert exit_code(fork(renamed)) == 0
