"""A short heavy job in a process of its own: one JSON request in, JSON lines out.

The worker imports torch so that the console need not. It watches its standard input and ends when that closes, so it
never outlives the console, however the console ends; closing it is also how a job is cancelled.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import IO, Any

PATIENCE = 2.0  # seconds a cancelled worker has to end by itself
TAIL_BYTES = 4096  # of the worker's stderr, read only when it died


class Worker:
    """`for answer in Worker({"verb": "generate", ...})`: the answers as they come, an `error` answer if it dies."""

    def __init__(self, request: dict[str, Any]) -> None:
        from nanocore.runs.spawn import THREADING, thread_count

        threads = {"OMP_NUM_THREADS": str(thread_count(0)), **THREADING}
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115, a pipe that nobody reads would fill and freeze it
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "nanocore.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env={**os.environ, **threads},
            start_new_session=True,  # Ctrl-C in the terminal is the console's to handle
        )
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._cancelled = False
        self.send(request)
        threading.Thread(target=self._read, name="worker-reader", daemon=True).start()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Answers until the worker has ended. One thread may iterate."""
        while (answer := self.next()) is not None:
            yield answer

    def next(self) -> dict[str, Any] | None:
        """The next answer, waiting for it; None once the worker has ended."""
        return self._answers.get()

    @property
    def pid(self) -> int:
        return self._process.pid

    def cancel(self) -> None:
        """End the worker, from any thread; the iteration then ends without an error answer."""
        self._cancelled = True
        _close(self._process.stdin)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def send(self, record: dict[str, Any]) -> None:
        """Tell a verb that listens something more, as what was said in a chat."""
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(json.dumps(record).encode() + b"\n")
            stdin.flush()
        except BrokenPipeError:
            pass  # it died; the reader reports why

    def _read(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        finished = False
        for line in stdout:
            answer = _parse(line)
            if answer is not None:
                finished = answer.get("kind") in ("done", "error")
                self._answers.put(answer)
        code = self._process.wait()
        if not finished and not self._cancelled:
            self._answers.put({"kind": "error", "message": self._obituary(code), **_class_of_death(code)})
        _close(self._process.stdin)
        stdout.close()
        self._stderr.close()
        self._answers.put(None)

    def _obituary(self, code: int) -> str:
        """How the worker died, with the last line it said."""
        from nanocore.runs.postmortem import exit_words

        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, self._stderr.tell() - TAIL_BYTES))
        lines = self._stderr.read().decode("utf-8", "replace").strip().splitlines()
        return f"the worker process gave no answer: {exit_words(code)}" + (f": {lines[-1]}" if lines else "")


def _class_of_death(code: int) -> dict[str, Any]:
    """A worker that the kernel killed has nearly always run out of memory."""
    if code == -signal.SIGKILL:
        return {"type": "ResourceError", "exit_code": 6}
    return {"type": "NanoError", "exit_code": 1}


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(line)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _close(stream: IO[bytes] | None) -> None:
    try:
        if stream is not None:
            stream.close()
    except BrokenPipeError:
        pass
