"""The worker's end of its pipes: requests come in, answers go out, and a closed stdin ends the process."""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Callable
from typing import Any

from nanocore.errors import UsageError

Record = dict[str, Any]
CANCELLED = 130


class Channel:
    """Answers go to the real stdout; prints of libraries go to stderr from here on."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._rest = b""
        self._records: queue.SimpleQueue[Record] = queue.SimpleQueue()
        self._on_cancel: Callable[[], None] | None = None
        self._on_end: Callable[[], None] | None = None

    def answer(self, record: Record) -> None:
        """Write one answer at once."""
        self._out.write(json.dumps(record, ensure_ascii=True, allow_nan=False) + "\n")
        self._out.flush()

    def request(self) -> Record:
        """The first line. Raises UsageError when it is not a JSON object."""
        line = self._line()
        if line is None:
            line, self._rest = self._rest, b""
        return _parsed(line)

    def listen(self) -> None:
        """Take later lines from now on; the end of stdin then ends the process."""
        threading.Thread(target=self._listen, daemon=True).start()

    def next(self) -> Record:
        """The next later line that is not a cancellation; waits for it."""
        return self._records.get()

    def on_cancel(self, act: Callable[[], None]) -> None:
        """What a cancellation does from now on, in another thread."""
        self._on_cancel = act

    def on_end(self, act: Callable[[], None]) -> None:
        """What the end of stdin does before the process ends, in another thread: the console is gone, however it ended."""
        self._on_end = act

    def _listen(self) -> None:
        while (line := self._line()) is not None:
            try:
                record = _parsed(line)
            except UsageError:
                continue
            if not record.get("cancel"):
                self._records.put(record)
            elif self._on_cancel is not None:
                self._on_cancel()
        if self._on_end is not None:
            self._on_end()
        os._exit(CANCELLED)

    def _line(self) -> bytes | None:
        """The next whole line; None at the end. Reads past Python's buffer, whose lock would disturb an ordinary end."""
        while b"\n" not in self._rest:
            chunk = os.read(0, 1 << 16)
            if not chunk:
                return None
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line


def _parsed(line: bytes) -> Record:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the request is not JSON: {error}") from None
    if not isinstance(record, dict):
        raise UsageError("the request is not a JSON object")
    return record
