"""Starting a trainer so that it outlives whoever started it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import threading
import time
from contextlib import suppress
from pathlib import Path

from nanocore.errors import BusyError, ResourceError, UsageError, remedy
from nanocore.files import open_regular
from nanocore.runs.documents import Flawed, Newer, write_document
from nanocore.runs.facts import load_facts
from nanocore.runs.identity import boot_id, host_name
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import busy_error, observe
from nanocore.runs.postmortem import CRASHED
from nanocore.runs.records import leave
from nanocore.runs.status import ALIVE_STATES, Status, load_status, next_attempt, read_status

MOST_THREADS = 8
# Threads sleep when there is nothing to do, but look around for some microseconds first: waking costs more than that between
# two products of a small model. Large tensors are kept by the allocator, not given back and faulted in again each step.
# Measured on tiny-cpu (docs/benchmarks.md): a step takes two thirds of the time with both.
THREADING = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "3000",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
}
_UNLIMITED = 1e6  # processors
_OTHER_HOST_WAIT = 3.0  # seconds; a heartbeat elsewhere shows within one
_WITNESS_WAIT = 5.0  # seconds; it takes milliseconds
_witnesses: dict[Path, threading.Thread] = {}  # of the trainers that this process launched
_INSTALLED = tuple(sysconfig.get_path(key) for key in ("stdlib", "purelib", "platlib", "scripts"))  # found anyway
_CGROUPS = Path("/sys/fs/cgroup")


def spawn_trainer(run: RunFolder, *, module: str = "nanocore.train", threads: int = 0, nice: int = 5) -> int:
    """Start `python -m module RUN` in a session of its own and return its pid at once.

    Its output goes to a file, never to a pipe, so that neither the end of this process nor that of the terminal
    reaches it. Raises BusyError when a trainer works on the run, UsageError when its run.json is damaged or a newer
    version wrote it, ResourceError when no process can be started or the folder cannot be written.
    """
    _refuse_if_busy(run)
    _refuse_if_newer(run)
    attempt = _announce(run)
    try:
        process = start_detached(module, run.path, run.log_file, threads)
    except OSError as error:
        what = f"the trainer cannot be started: {error.strerror}"
        raise ResourceError(what, where=run.name, fix=remedy(error)) from None
    _step_back(process.pid, nice)
    witness = threading.Thread(target=_witness, args=(run, process, attempt), name="witness", daemon=True)
    _witnesses[run.path] = witness
    witness.start()
    return process.pid


def _step_back(pid: int, nice: int) -> None:
    """Let a process that leads a session of its own claim less than this one does, by `nice`.

    Where the kernel shares processors out between sessions (autogroup), niceness alone counts only within one: sched(7).
    """
    with suppress(ProcessLookupError, PermissionError):
        value = min(19, os.getpriority(os.PRIO_PROCESS, 0) + nice)
        os.setpriority(os.PRIO_PROCESS, pid, value)
        with suppress(OSError):  # a kernel without it, or one that was asked too often
            Path(f"/proc/{pid}/autogroup").write_text(str(value))


def hear_witness(run: RunFolder) -> None:
    """Wait until the return code of a trainer that ended stands in the events, if this process launched it.

    The kernel frees a lock before it tells the parent, so who looks at once would not know how the run ended.
    """
    if (witness := _witnesses.pop(run.path, None)) is not None:
        witness.join(_WITNESS_WAIT)


def start_detached(module: str, folder: Path, log_file: Path, threads: int = 0) -> subprocess.Popen[bytes]:
    """Start `python -m module FOLDER` in a session of its own, its output appended to a file. Raises OSError."""
    with os.fdopen(open_regular(log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, follow=False), "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", module, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=trainer_environment(thread_count(threads)),
            start_new_session=True,
            close_fds=True,
        )


def trainer_environment(threads: int) -> dict[str, str]:
    """This process's environment with explicit threads, which wait without burning a core, and a readable log.

    The trainer imports from the same places as this process; the folder it starts in is added by nobody else (-P).
    """
    places = [place or str(Path.cwd()) for place in sys.path if not place.startswith(_INSTALLED)]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(place for place in places if Path(place).exists()),
        "OMP_NUM_THREADS": str(threads),
        **THREADING,
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8:backslashreplace",
    }


def thread_count(requested: int = 0) -> int:
    """`requested` threads, or for 0 as many as affinity, cgroup quota and cores allow, at most 8."""
    if requested > 0:
        return requested
    import psutil

    cores = psutil.cpu_count(logical=False) or MOST_THREADS
    return max(1, min(len(os.sched_getaffinity(0)), cgroup_quota(), cores, MOST_THREADS))


def cgroup_quota(groups: Path = _CGROUPS, membership: Path = Path("/proc/self/cgroup")) -> int:
    """Whole processors this process may use by the quota of its control groups; a large number without one."""
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return int(_UNLIMITED)
    quotas = [_group_quota(groups, line) for line in lines]
    return int(max(1.0, min([*quotas, _UNLIMITED])))


def _group_quota(groups: Path, line: str) -> float:
    """The least quota from the group named in a line of /proc/self/cgroup up to the root, in processors."""
    _, controllers, path = line.split(":", 2)
    if controllers and "cpu" not in controllers.split(","):
        return _UNLIMITED
    base = groups if not controllers else groups / controllers
    inner = base / path.lstrip("/")
    chain = [inner, *(folder for folder in inner.parents if folder.is_relative_to(base))]
    return min(_quota(folder) for folder in chain)


def _quota(folder: Path) -> float:
    """cpu.max of version 2 ("200000 100000" or "max 100000"), or the two files of version 1."""
    try:
        if (folder / "cpu.max").exists():
            most, period = (folder / "cpu.max").read_text().split()
        else:
            most = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        return _UNLIMITED if most in ("max", "-1") else float(most) / float(period)
    except (OSError, ValueError, ZeroDivisionError):
        return _UNLIMITED


def _refuse_if_busy(run: RunFolder) -> None:
    state = observe(run)
    if state.alive:
        raise busy_error(run, state.pid)
    if state.state == "elsewhere" and _heart_beats(run):
        status = read_status(run)
        host = status.host if status else ""
        raise BusyError(f"busy: a trainer on host {host} works on it", where=run.name, fix="stop it there first")


def _refuse_if_newer(run: RunFolder) -> None:
    """This version would spoil what a newer one wrote. A status that is merely torn is written anew."""
    load_facts(run)
    try:
        load_status(run)
    except Newer as flaw:
        raise UsageError(f"its status {flaw}", where=run.name, fix="resume it with that version") from None
    except Flawed:
        pass


def _heart_beats(run: RunFolder) -> bool:
    """Whether the status changes while we look: over a shared folder the lock of another host may not be seen."""
    first, deadline = read_status(run), time.monotonic() + _OTHER_HOST_WAIT
    while time.monotonic() < deadline:
        time.sleep(0.2)
        if read_status(run) != first:
            return True
    return False


def _announce(run: RunFolder) -> int:
    """Write that a trainer is coming, so that every reader sees `starting` at once; returns its attempt.

    Where not even that can be written no trainer could begin: ResourceError.
    """
    attempt, previous = next_attempt(run), read_status(run) or Status()
    coming = Status(
        host=host_name(), boot_id=boot_id(), attempt=attempt, step=previous.step, steps=previous.steps,
        tokens=previous.tokens, updated=time.time(), launched=time.monotonic(),
    )  # fmt: skip
    try:
        write_document(run.status_file, coming, durable=False)
    except OSError as error:
        what, advice = f"the run folder cannot be written: {error.strerror}", remedy(error) or "put that right"
        raise ResourceError(what, where=run.name, fix=f"{advice}, then resume the run") from None
    return attempt


def _witness(run: RunFolder, process: subprocess.Popen[bytes], attempt: int) -> None:
    """Wait for the trainer and, when it could not report its own end, leave its return code in the events."""
    code = process.wait()
    status = read_status(run)
    if status is None or status.state not in ALIVE_STATES:
        return  # it had its last word
    if status.pid != process.pid and (status.pid, status.attempt) != (0, attempt):
        return  # another trainer has the run, or was announced already
    attempt = max(attempt, status.attempt)  # a trainer that went back to a checkpoint began another
    leave(run, {"kind": CRASHED, "step": status.step, "attempt": attempt, "exit_code": code})
