"""TensorBoard over one run: a process of its own, reachable from this machine only, on the next free port."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from nanocore.errors import ResourceError

if TYPE_CHECKING:
    from nanocore.runs.layout import RunFolder

HOST = "127.0.0.1"  # it has no password, so it is never reachable from elsewhere
FIRST_PORT, PORTS = 6006, 100
START_LIMIT = 60.0  # seconds until it answers; importing it takes a few
PATIENCE = 5.0  # seconds it has to end by itself

PRCTL = ctypes.CDLL(None).prctl  # found now: a process forked from one with several threads should look up nothing
PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """Runs in the new process: the kernel ends it when the thread that started it ends, even by kill -9 (prctl(2))."""
    PRCTL(PR_SET_PDEATHSIG, signal.SIGTERM)


class TensorBoard:
    """A running TensorBoard; `url` opens it. Use as a context: it ends with the block."""

    def __init__(self, run: RunFolder, log: Path, *, port: int | None = None) -> None:
        """Start it and wait until it answers. Raises ResourceError when it does not; `log` says why."""
        log.parent.mkdir(parents=True, exist_ok=True)
        self.port = free_port(port, 1) if port else free_port()
        self.url = f"http://{HOST}:{self.port}/"
        command = [sys.executable, "-P", "-m", "tensorboard.main", "--logdir", str(run.tensorboard_dir)]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*command, "--host", HOST, "--port", str(self.port)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        try:
            self._wait_until_ready(log)
        except BaseException:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """End it and the helper process it started."""
        if self.alive:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def __enter__(self) -> TensorBoard:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _wait_until_ready(self, log: Path) -> None:
        limit = time.monotonic() + START_LIMIT
        while time.monotonic() < limit and self.alive:
            if _listens(self._process.pid, self.port):
                return
            time.sleep(0.1)
        raise ResourceError(f"TensorBoard did not start: {_last_line(log)}", where=str(log), fix="read this file")


def free_port(first: int = FIRST_PORT, count: int = PORTS) -> int:
    """The next of `count` ports on which nothing listens. Raises ResourceError when all are taken."""
    for port in range(first, first + count):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return port
    what = f"port {first} is taken" if count == 1 else f"no port between {first} and {first + count - 1} is free"
    raise ResourceError(what, fix="choose another with --port")


def _listens(pid: int, port: int) -> bool:
    """Whether this very process answers there: two that start at once find the same port free, and one gets it."""
    import psutil

    with contextlib.suppress(psutil.Error):
        found = psutil.Process(pid).net_connections("tcp")
        return any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in found)
    return False


def _last_line(log: Path) -> str:
    from nanocore.runs.log import last_lines

    lines = last_lines(log, 1)
    return lines[0] if lines else "it said nothing"


class Companion:
    """`nanoconsole tensorboard RUN` as a process of its own, which lives as long as the run, not as its starter."""

    def __init__(self, run: RunFolder, root: Path) -> None:
        from nanocore.runs.layout import private

        self._output = private(root) / f"tensorboard-{run.name}.out"
        self._output.parent.mkdir(parents=True, exist_ok=True)
        with self._output.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "nanoconsole", "tensorboard", run.name, "--with-run", "--runs", str(root)],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def url(self) -> str:
        """Where it answers; "" while it starts. Raises ResourceError when it ended."""
        lines = self._output.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        if lines and lines[0].startswith("http") and lines[0].endswith("\n"):
            return lines[0].strip()
        if self._process.poll() is not None:
            raise ResourceError(f"TensorBoard did not start: {_last_line(self._output)}", where=str(self._output))
        return ""

    def wait(self) -> str:
        """The address, as soon as there is one. Raises ResourceError when there will be none."""
        while not (url := self.url()):
            time.sleep(0.1)
        return url
