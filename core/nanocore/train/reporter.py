"""Everything a trainer tells the outside: status, records, events, log lines, TensorBoard. Rank 0 only.

The other ranks hold a reporter without a run folder, whose methods do nothing.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from nanocore.errors import ResourceError
from nanocore.runs.layout import RunFolder
from nanocore.runs.metrics import find_metric
from nanocore.runs.records import RecordWriter
from nanocore.runs.status import StatusWriter

if TYPE_CHECKING:
    from nanocore.train.event_file import EventFile


class Reporter:
    """Writes the run folder's files. A full disk costs records, never the training; the status says what was lost."""

    def __init__(self, run: RunFolder | None, status: StatusWriter | None, attempt: int) -> None:
        self.attempt, self.step = attempt, 0
        self._status, self._name = status, run.name if run else ""
        self._metrics = RecordWriter(run.metrics_file) if run else None
        self._layers = RecordWriter(run.layers_file) if run else None
        self._events = RecordWriter(run.events_file) if run else None
        self._tensorboard: EventFile | None = None
        self._warned: set[str] = set()
        self._lost: dict[str, str] = {}  # what could not be written, and why

    def open_tensorboard(self, run: RunFolder, step: int) -> None:
        """Go on after `step`; what an earlier attempt wrote beyond it is no longer shown."""
        from nanocore.train.event_file import EventFile

        try:
            self._tensorboard = EventFile(run.tensorboard_dir, step + 1)
        except OSError as error:
            self._end_tensorboard(error)

    def begin_attempt(self, attempt: int, step: int) -> None:
        """What is told from now on belongs to another attempt, which goes on from `step`."""
        self.attempt, self.step = attempt, step
        self._guard(lambda board: board.close())
        self._tensorboard = None
        self.status(attempt=attempt, step=step)

    def log(self, message: str, level: str = "INFO") -> None:
        """One line on stdout, which is the run's log: time, level, step, message."""
        if self._status is not None:
            try:
                print(self._line(message, level), end="", flush=True)
            except OSError as error:
                self._lose("log lines", error.strerror or str(error))

    def event(self, kind: str, **facts: Any) -> None:
        if self._events is not None:
            self._check(self._events.write({"kind": kind, **self._stamp(), **facts}), "events", self._events)

    def warn(self, message: str, **facts: Any) -> None:
        """A warning event and log line, once for each message."""
        if message not in self._warned:
            self._warned.add(message)
            self.log(message, "WARNING")
            self.event("warning", message=message, **facts)

    def metrics(self, values: dict[str, float], **facts: Any) -> None:
        """One metrics record; `values` have names of the registry."""
        if self._metrics is not None:
            self._check(self._metrics.write({**self._stamp(), **facts, **values}), "metrics", self._metrics)
        self._to_tensorboard(values)

    def layers(self, rows: list[dict[str, Any]]) -> None:
        if self._layers is not None:
            for row in rows:
                self._check(self._layers.write({**self._stamp(), **row}), "layers", self._layers)

    def text(self, tag: str, text: str) -> None:
        self._guard(lambda board: board.text(tag, text, self.step))

    def status(self, **fields: Any) -> None:
        """Raises ResourceError once the run's folder is gone: what is trained from then on could not be saved."""
        if self._status is not None:
            if self._status.vanished:
                raise self._gone()
            if self._lost:
                fields["message"] = fields.get("message") or self._losses()
            self._status.update(**fields)

    def gone(self) -> ResourceError | None:
        """The end of a run whose folder is not there any more, looked for now."""
        return self._gone() if self._status is not None and self._status.look() else None

    def _gone(self) -> ResourceError:
        what, fix = "its folder was deleted or moved away while it trained", "move it back, then resume the run"
        return ResourceError(what, where=self._name, fix=fix)

    def pulse(self) -> None:
        """Show life inside a long phase."""
        self.status()

    def finish(self, state: str, exit_code: int, message: str = "") -> None:
        self._guard(lambda board: board.close())
        if self._status is not None:
            self._status.finish(state, exit_code, message or self._losses())

    def forced(self, name: str, exit_code: int) -> None:
        """Say that a second signal ends the process. It takes no lock and no buffer, which another thread may hold."""
        message = f"ended at once by a second signal, {name}, without saving"
        if self._events is not None:
            self._events.write({"kind": "crashed", **self._stamp(), "message": message, "exit_code": exit_code})
        with suppress(OSError, ValueError):  # a log on a full disk; none
            os.write(sys.stdout.fileno(), self._line(message, "ERROR").encode())

    def _line(self, message: str, level: str) -> str:
        return f"{datetime.now().strftime('%Y-%m-%d %H:%M:%S')} {level:<7} step {self.step}: {message}\n"

    def _stamp(self) -> dict[str, Any]:
        return {"step": self.step, "attempt": self.attempt, "time": time.time()}

    def _to_tensorboard(self, values: dict[str, float]) -> None:
        tags = {metric.tag if (metric := find_metric(name)) else name: value for name, value in values.items()}
        self._guard(lambda board: board.scalars(tags, self.step))

    def _guard(self, write: Callable[[EventFile], None]) -> None:
        """TensorBoard is a side output: its failure is said once and ends nothing."""
        if self._tensorboard is None:
            return
        try:
            write(self._tensorboard)
        except (OSError, RuntimeError, ValueError) as error:
            self._tensorboard = None
            self._end_tensorboard(error)

    def _end_tensorboard(self, error: Exception) -> None:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        self.warn(f"TensorBoard output ended: {reason}")

    def _check(self, written: bool, what: str, writer: RecordWriter) -> None:
        if not written:
            self._lose(what, writer.failure)

    def _lose(self, what: str, reason: str) -> None:
        """Say once that something cannot be written: in the log if that can, in the status whatever happens."""
        if what not in self._lost:
            self._lost[what] = reason
            self.log(f"{what} are not persisted: {reason}", "ERROR")
            self.status()

    def _losses(self) -> str:
        return "; ".join(f"{what} are not persisted: {reason}" for what, reason in self._lost.items())
