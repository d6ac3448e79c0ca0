"""The real trainer in a process of its own without the seconds that importing torch takes: a fork of this one."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

import nanocore.train.build  # what a trainer loads is loaded before the forks
import nanocore.train.calibrate  # noqa: F401
from nanocore.runs import failpoint
from nanocore.runs.layout import RunFolder
from nanocore.train.__main__ import main
from tests.run_helpers import status_of, wait_for

LIFETIME = 100  # seconds; a trainer that a failed test left behind ends by itself


def start_real(run: RunFolder, *, fail: str = "", prepare: Callable[[], object] | None = None) -> int:
    """Train `run` in a session of its own, its output appended to the log; the pid.

    `fail` arms a failpoint there, `prepare` is called first.
    """
    child = os.fork()
    if child:
        return child
    try:
        _detach(run)
        failpoint.arm(fail)
        if prepare is not None:
            prepare()
        os._exit(main([str(run.path)]))
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        os._exit(99)


def _detach(run: RunFolder) -> None:
    os.setsid()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(LIFETIME)
    log = os.open(run.log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    for number in (1, 2):
        os.dup2(log, number)
    sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1, closefd=False, errors="backslashreplace")


def in_phase(run: RunFolder, phase: str, pid: int) -> None:
    """Wait until the trainer is in a phase."""

    def there() -> bool:
        assert os.waitpid(pid, os.WNOHANG) == (0, 0), run.log_file.read_text()
        return run.status_file.exists() and status_of(run).pid == pid and status_of(run).phase == phase

    wait_for(there, f"the phase {phase}")


def end(pid: int) -> None:
    """Kill a trainer whatever it does, and reap it."""
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
