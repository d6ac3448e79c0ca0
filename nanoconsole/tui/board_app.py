"""TensorBoard in the app: one beside a run where it is asked for, or beside all that is launched by the setting."""

from __future__ import annotations

from collections.abc import Callable

from textual.message import Message
from textual.signal import Signal

from nanoconsole.services.boards import Boards
from nanoconsole.services.settings import Settings
from nanoconsole.tui.alerting_app import AlertingApp
from nanocore.runs.layout import RunFolder


class BoardTold(Message):
    """A TensorBoard answers, or has ended."""


class BoardApp(AlertingApp):
    """An app with TensorBoards, which end with it."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        super().__init__(settings, clock)
        self.boards = Boards(self._tell_board)
        self.boards_signal: Signal[Boards] = Signal(self, "boards")

    def on_unmount(self) -> None:
        self.boards.close()

    def trainer_started(self, run: RunFolder) -> None:
        """Serve a run that was launched or resumed here, when the user wants that. May be called from any thread."""
        if self.settings.tensorboard:
            self.boards.launched(run)

    def switch_board(self, run: RunFolder) -> None:
        """Start the run's TensorBoard, or end it."""
        if self.boards.has(run):
            self.boards.stop(run)
            self.boards_signal.publish(self.boards)
            self.say(f"TensorBoard of {run.name} ends")
        else:
            self.boards.start(run)
            self.say(f"TensorBoard of {run.name} starts …", "working")

    def _tell_board(self, words: str, fault: bool) -> None:
        """In the thread of a TensorBoard."""
        if words:
            self.say(words, "error" if fault else "information")
        self.post_message(BoardTold())

    def on_board_told(self) -> None:
        self.boards_signal.publish(self.boards)
