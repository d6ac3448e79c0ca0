"""Everything a trainer tells the outside: status, records, events, log lines, TensorBoard. Rank 0 only.

The other ranks hold a reporter without a run folder, whose methods do nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from nanocore.runs.layout import RunFolder
from nanocore.runs.metrics import find_metric
from nanocore.runs.records import RecordWriter
from nanocore.runs.status import StatusWriter

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter


class Reporter:
    """Writes the run folder's files. A full disk costs records, never the training."""

    def __init__(self, run: RunFolder | None, status: StatusWriter | None, attempt: int) -> None:
        self.attempt, self.step = attempt, 0
        self._status = status
        self._metrics = RecordWriter(run.metrics_file) if run else None
        self._layers = RecordWriter(run.layers_file) if run else None
        self._events = RecordWriter(run.events_file) if run else None
        self._tensorboard: SummaryWriter | None = None
        self._warned: set[str] = set()

    def open_tensorboard(self, run: RunFolder, step: int) -> None:
        """Go on after `step`; what an earlier attempt wrote beyond it is no longer shown."""
        from torch.utils.tensorboard.writer import SummaryWriter

        self._tensorboard = SummaryWriter(str(run.tensorboard_dir), flush_secs=10, purge_step=step + 1)

    def log(self, message: str, level: str = "INFO") -> None:
        """One line on stdout, which is the run's log: time, level, step, message."""
        if self._status is not None:
            stamp = datetime.now().strftime("%Y-%m-%d %H:%M:%S")
            print(f"{stamp} {level:<7} step {self.step}: {message}", flush=True)

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
                self._layers.write({**self._stamp(), **row})

    def text(self, tag: str, text: str) -> None:
        self._guard(lambda board: board.add_text(tag, text, self.step))

    def status(self, **fields: Any) -> None:
        if self._status is not None:
            self._status.update(**fields)

    def pulse(self) -> None:
        """Show life inside a long phase."""
        self.status()

    def finish(self, state: str, exit_code: int, message: str = "") -> None:
        self._guard(lambda board: board.close())
        if self._status is not None:
            self._status.finish(state, exit_code, message)

    def _stamp(self) -> dict[str, Any]:
        return {"step": self.step, "attempt": self.attempt, "time": time.time()}

    def _to_tensorboard(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            metric = find_metric(name)
            self._guard(partial(_add_scalar, tag=metric.tag if metric else name, value=value, step=self.step))

    def _guard(self, write: Callable[[SummaryWriter], None]) -> None:
        """TensorBoard is a side output: its failure is said once and ends nothing."""
        if self._tensorboard is None:
            return
        try:
            write(self._tensorboard)
        except (OSError, RuntimeError, ValueError) as error:
            self._tensorboard = None
            self.warn(f"TensorBoard output ended: {error}")

    def _check(self, written: bool, what: str, writer: RecordWriter) -> None:
        if not written and what not in self._warned:
            self._warned.add(what)
            print(f"{what} are not persisted: {writer.failure}", file=sys.stderr, flush=True)
            self.status(message=f"{what} are not persisted: {writer.failure}")


def _add_scalar(board: SummaryWriter, tag: str, value: float, step: int) -> None:
    board.add_scalar(tag, value, step)
