"""What many tests of runs need: a run folder, a fake trainer in it, waiting without timing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nanocore.config.schema import Config
from nanocore.runs.create import create_run
from nanocore.runs.identity import Identity
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import observe
from nanocore.runs.records import Record, read_all
from nanocore.runs.spawn import spawn_trainer
from nanocore.runs.status import Status, read_status

PATIENCE = 20.0


def make_run(tmp_path: Path, name: str = "probe") -> RunFolder:
    return create_run(tmp_path / "runs", Config(), name=name)


def status_of(run: RunFolder) -> Status:
    status = read_status(run)
    assert status is not None
    return status


def start_fake(run: RunFolder, monkeypatch: pytest.MonkeyPatch, **environment: object) -> int:
    """Spawn the fake trainer with FAKE_* variables given in lower case; its pid."""
    for name, value in environment.items():
        monkeypatch.setenv(f"FAKE_{name.upper()}", str(value))
    return spawn_trainer(run, module="tests.fake_trainer", threads=1, nice=0)


def wait_for(condition: Callable[[], object], what: str = "the condition") -> None:
    """Wait until `condition()` is true; fail when it never becomes so."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.01)


def steps_of(run: RunFolder) -> list[int]:
    return [record["step"] for record in read_all(run.metrics_file)]


def events_of(run: RunFolder, kind: str) -> list[Record]:
    return [record for record in read_all(run.events_file) if record["kind"] == kind]


def short(value: bytes) -> str:
    """The beginning of a byte string as the name of a test."""
    return repr(value[:16])


def status_of_me(**fields: object) -> Status:
    """A status that names this very process."""
    me = Identity.mine()
    facts = {"pid": me.pid, "start_ticks": me.start_ticks, "boot_id": me.boot_id, "host": me.host, **fields}
    return Status(**facts)  # type: ignore[arg-type]


def fork(work: Callable[[], object]) -> int:
    """Run `work` in a forked process, which then ends; its pid. Its exit code is 99 when `work` raises."""
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # a test that fails leaves nothing behind
        try:
            work()
        except BaseException:
            os._exit(99)
        os._exit(0)
    return child


def exit_code(child: int) -> int:
    """Wait for a forked process; its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def trained(run: RunFolder, steps: int = 3) -> None:
    """Wait until the trainer has made `steps` more steps."""
    before = len(steps_of(run))
    wait_for(lambda: len(steps_of(run)) >= before + steps, f"{steps} more steps")


def ended(run: RunFolder) -> str:
    """Wait until no trainer works on the run; the state it was left in."""
    wait_for(lambda: not observe(run).alive and observe(run).state != "starting", "the end")
    return observe(run).state
