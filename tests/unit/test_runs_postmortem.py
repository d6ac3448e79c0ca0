"""Why a trainer ended, told by others than its status: events, and the end of its log."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from nanocore.errors import UsageError
from nanocore.runs.layout import RunFolder
from nanocore.runs.postmortem import cause_of_death
from nanocore.runs.records import leave
from nanocore.runs.status import Status
from tests.run_helpers import make_run

PID, ATTEMPT = 4711, 2
FULL = "3 checkpoints in a row could not be saved; free some space, then resume the run"


def log(run: RunFolder, level: str, text: str, when: float = 0.0) -> None:
    """A line as the trainer writes it, `when` seconds from now."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() + when))
    with run.log_file.open("a") as file:
        file.write(f"{stamp} {level:<7} step 40: {text}\n")


def cause(run: RunFolder) -> str:
    return cause_of_death(run, Status(state="running", pid=PID, attempt=ATTEMPT))


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run whose second attempt has begun."""
    made = make_run(tmp_path)
    leave(made, {"kind": "started", "step": 0, "attempt": ATTEMPT, "pid": PID})
    log(made, "INFO", "step 40: ce 3.1")
    return made


def ends(run: RunFolder, code: int) -> None:
    """What the console that launched it saw."""
    leave(run, {"kind": "crashed", "step": 40, "attempt": ATTEMPT, "exit_code": code})


@pytest.mark.parametrize(("code", "before"), [(6, "it ended with exit code 6: "), (None, "")], ids=["seen", "unseen"])
def test_the_error_with_which_its_own_lines_end_is_the_reason(run: RunFolder, code: int | None, before: str) -> None:
    log(run, "ERROR", FULL)
    log(run, "WARNING", "TensorBoard output ended: No space left on device")
    if code is not None:
        ends(run, code)
    assert cause(run) == before + FULL


def test_an_error_that_training_survived_is_not(run: RunFolder) -> None:
    log(run, "ERROR", "metrics are not persisted: No space left on device")
    log(run, "INFO", "step 50: ce 3.0")
    ends(run, 7)
    assert cause(run) == "it ended with exit code 7"


def test_an_error_of_an_earlier_process_is_not(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    leave(run, {"kind": "started", "step": 0, "attempt": 1, "pid": PID - 1})
    log(run, "ERROR", FULL)
    ends(run, 6)
    assert cause(run) == "it ended with exit code 6"  # it ended before it could say that it had started


def test_an_error_from_before_its_start_is_not(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    log(run, "ERROR", FULL, when=-60)
    leave(run, {"kind": "started", "step": 0, "attempt": ATTEMPT, "pid": PID})
    ends(run, 6)
    assert cause(run) == "it ended with exit code 6"


def test_what_it_printed_before_it_had_a_log_is_told_with_the_code(run: RunFolder) -> None:
    with run.log_file.open("a") as file:
        file.write(f"{UsageError('the run folder cannot be written', where=run.name, fix='check the disk')}\n")
    ends(run, 6)
    assert cause(run) == "it ended with exit code 6: the run folder cannot be written; check the disk"


def test_a_signal_is_not_explained_by_what_was_printed(run: RunFolder) -> None:
    with run.log_file.open("a") as file:
        file.write("some library talks\n")
    ends(run, -signal.SIGKILL)
    assert cause(run) == "killed by SIGKILL, perhaps because memory ran out"


def test_a_kill_that_was_asked_for_is_no_lack_of_memory_and_another_attempts_is_none(run: RunFolder) -> None:
    ends(run, -signal.SIGKILL)
    asked = {"kind": "killed", "step": 40, "message": "killed on request, without saving"}
    leave(run, {**asked, "attempt": 1})
    assert "memory" in cause(run)
    leave(run, {**asked, "attempt": ATTEMPT})
    assert cause(run) == "killed on request, without saving"


def test_a_stamp_that_is_no_time_is_an_old_line(run: RunFolder) -> None:
    with run.log_file.open("a") as file:
        file.write("2026-99-99 99:99:99 ERROR   step 4: garbage\n")
    ends(run, 6)
    assert "garbage" not in cause(run)
