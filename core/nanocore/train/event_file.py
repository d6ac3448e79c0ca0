"""TensorBoard's event file, written one record at a time without a thread: what fails raises where it was called.

The writer that comes with TensorBoard works in a thread, which on a full disk prints a traceback of its own.
The classes of its records are made by protobuf at import, so a type checker does not see them.
"""

from __future__ import annotations

import os
import time
from io import BytesIO
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.summary import text as text_summary

from nanocore.runs.documents import write_whole
from nanocore.runs.identity import host_name


class EventFile:
    """A new event file in `folder`; what earlier files hold from `purge_step` on is no longer shown. Raises OSError."""

    def __init__(self, folder: Path, purge_step: int) -> None:
        folder.mkdir(exist_ok=True)
        name = f"events.out.tfevents.{int(time.time()):010d}.{host_name()}.{os.getpid()}"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(folder / name, flags, 0o666)
        self._write(file_version="brain.Event:2")
        self._write(step=purge_step, session_log=SessionLog(status=SessionLog.START))

    def scalars(self, values: dict[str, float], step: int) -> None:
        """One record for the values of a step, by tag."""
        points = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._write(step=step, summary=Summary(value=points))

    def text(self, tag: str, text: str, step: int) -> None:
        self._write(step=step, summary=text_summary(tag, text))

    def close(self) -> None:
        os.close(self._descriptor)

    def _write(self, **fields: Any) -> None:
        record = BytesIO()
        RecordWriter(record).write(Event(wall_time=time.time(), **fields).SerializeToString())
        write_whole(self._descriptor, record.getvalue())
