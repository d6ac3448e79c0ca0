"""The TensorBoards of this console: at most one a run, each in a thread that lives as long as it does.

The kernel ends a TensorBoard with the thread that started it (`tensorboard.py`), so none outlives the console, however
the console ends; and so no thread of a pool, which ends with its work, may start one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from nanocore.errors import NanoError, ResourceError, UsageError
from nanocore.runs.layout import RunFolder

LOOK = 1.0  # seconds between two looks at the run and at TensorBoard

Tell = Callable[[str, bool], None]  # one line, and whether it tells of a fault


class Boards:
    """Starts and ends them; every method returns at once and may be called from any thread.

    `tell` is called, in the thread of a TensorBoard, when that answers, when it ended without being asked to, and when
    it did not start; "" when only `url` changed.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._boards: dict[RunFolder, _Board] = {}
        self._guard = threading.Lock()
        self._turn = threading.Lock()  # one starts at a time: two would find the same port free

    def has(self, run: RunFolder) -> bool:
        """Whether the run has one, or one that is starting."""
        return run in self._boards

    def url(self, run: RunFolder) -> str:
        """Where the run's TensorBoard answers; "" without one and while it starts."""
        board = self._boards.get(run)
        return board.url if board else ""

    def start(self, run: RunFolder) -> None:
        """Serve a run: until its end when it is at work, else until `stop`. Nothing when it is served already."""
        self._start(run, launched=False)

    def launched(self, run: RunFolder) -> None:
        """Serve a run whose trainer was just started, until its end, if it writes anything to be served."""
        self._start(run, launched=True)

    def stop(self, run: RunFolder) -> None:
        with self._guard:
            board = self._boards.pop(run, None)
        if board is not None:
            board.asked.set()

    def close(self) -> None:
        """End all of them; nothing more is told."""
        for run in list(self._boards):
            self.stop(run)

    def _start(self, run: RunFolder, *, launched: bool) -> None:
        with self._guard:
            if run in self._boards:
                return
            self._boards[run] = board = _Board(run)
        work = threading.Thread(target=self._live, args=(board, launched), name=f"tensorboard {run.name}", daemon=True)
        work.start()

    def _live(self, board: _Board, launched: bool) -> None:
        """The thread of one TensorBoard."""
        try:
            words, fault = self._serve(board, launched), False
        except NanoError as error:
            words, fault = str(error), True
        except OSError as error:  # of its log, in a folder that cannot be written
            words, fault = f"{board.run.name}: TensorBoard did not start: {error.strerror}", True
        with self._guard:
            if self._boards.get(board.run) is board:
                del self._boards[board.run]
        if not board.asked.is_set():
            self._tell(words, fault)

    def _serve(self, board: _Board, launched: bool) -> str:
        """Serve until the run's end or until asked to stop; what to tell then. Raises NanoError or OSError."""
        from nanoconsole.services.tensorboard import TensorBoard
        from nanocore.runs.layout import private
        from nanocore.runs.liveness import observe

        run = board.run
        if not _has_events(run):
            if launched:
                return ""
            raise UsageError("writes nothing for TensorBoard", where=run.name, fix="set logging.tensorboard = true")
        ends_with_run = launched or observe(run).at_work
        log = private(run.path.parent) / f"tensorboard-{run.name}.log"
        with self._turn:
            if board.asked.is_set():
                return ""
            served = TensorBoard(run, log)
        with served:
            if not board.asked.is_set():
                board.url = served.url
                self._tell(f"TensorBoard of {run.name}: {served.url}", False)
            while not board.asked.wait(LOOK):
                if not served.alive:
                    raise ResourceError("TensorBoard ended by itself", where=str(log), fix="read this file")
                if ends_with_run and not observe(run).at_work:
                    return f"TensorBoard of {run.name} ended with its training"
        return ""


class _Board:
    """What is known of one; `asked` is set when it is to end."""

    def __init__(self, run: RunFolder) -> None:
        self.run, self.url = run, ""
        self.asked = threading.Event()


def _has_events(run: RunFolder) -> bool:
    """Whether the run wrote event files, or its configuration lets it. Raises ConfigError when that cannot be read."""
    from nanocore.config.toml import load
    from nanocore.runs.staging import configuration_file

    return any(run.tensorboard_dir.glob("events.*")) or load(configuration_file(run)).logging.tensorboard
