"""The standard streams: what happens when they are closed, full, or nobody reads them any more."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from nanocore.errors import ResourceError, remedy

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

READER_GONE = 141  # as a shell reports a process that SIGPIPE ended


class OutputError(ResourceError):
    """Standard output takes no more. Nobody is told when its reader left, as `| head` does (exit 141)."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"cannot write to standard output: {error.strerror}", fix=remedy(error))
        self.silent = isinstance(error, BrokenPipeError)
        if self.silent:
            self.exit_code = READER_GONE


class _Checked(io.FileIO):
    """A descriptor whose first failed write raises OutputError, if it carries data; further words are dropped."""

    def __init__(self, descriptor: int, *, data: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._data, self._failed = data, False

    def write(self, words: ReadableBuffer, /) -> int | None:
        if not self._failed:
            try:
                return super().write(words)
            except OSError as error:
                self._failed = True
                if self._data:
                    raise OutputError(error) from None
        return memoryview(words).nbytes


def take_over() -> None:
    """Open what was closed, and let every write to stdout fail as an OutputError, whoever writes.

    Talk that cannot be written to stderr is lost, and ends nothing.
    """
    _open_missing()
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False, encoding="utf-8")  # noqa: SIM115
    sys.stdout, sys.stderr = _checked(1, sys.stdout, data=True), _checked(2, sys.stderr, data=False)


def _open_missing() -> None:
    """Occupy closed descriptors, lest a file takes their number: /dev/null, which refuses data as a closed stdout does."""
    for descriptor, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        with suppress(OSError):
            os.fstat(descriptor)
            continue
        os.open(os.devnull, mode)


def _checked(descriptor: int, stream: TextIO | None, *, data: bool) -> TextIO:
    """The text stream of a descriptor, in the encoding that Python chose for it; unknown letters become "?"."""
    buffer = io.BufferedWriter(_Checked(descriptor, data=data))
    encoding = stream.encoding if stream is not None else "utf-8"
    return io.TextIOWrapper(buffer, encoding, errors="replace", line_buffering=not data or buffer.isatty())
