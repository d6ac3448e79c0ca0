"""The console's TensorBoards around one that is scripted: one a run, alive in their own thread, and when they end."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanoconsole.services import boards as module
from nanoconsole.services import tensorboard as service
from nanoconsole.services.boards import Boards
from nanocore.config.schema import Config
from nanocore.errors import ResourceError
from nanocore.runs.create import create_run
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import acquire
from nanocore.runs.status import StatusWriter
from tests.run_helpers import make_run, wait_for

URL = "http://127.0.0.1:6006/"


class Board:
    """A TensorBoard that answers at once."""

    url, alive = URL, True
    made: list[Board]

    def __init__(self, run: RunFolder, log: Path, *, port: int | None = None) -> None:
        self.open, self.thread = True, threading.current_thread()
        self.made.append(self)

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        self.open = False


class Refused(Board):
    def __init__(self, run: RunFolder, log: Path, *, port: int | None = None) -> None:
        raise ResourceError("TensorBoard did not start: no room", where=str(log))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    monkeypatch.setattr(module, "LOOK", 0.01)
    monkeypatch.setattr(service, "TensorBoard", Board)
    monkeypatch.setattr(Board, "made", [], raising=False)
    return []


@pytest.fixture
def boards(told: list[tuple[str, bool]]) -> Iterator[Boards]:
    made = Boards(lambda words, fault: told.append((words, fault)))
    yield made
    made.close()


def silent(tmp_path: Path) -> RunFolder:
    """A run that writes no event files."""
    config = Config.model_validate({"logging": {"tensorboard": False}})
    return create_run(tmp_path / "runs", config, name="silent")


def test_a_run_has_one_until_it_is_stopped(tmp_path: Path, boards: Boards, told: list[tuple[str, bool]]) -> None:
    run = make_run(tmp_path)
    boards.start(run)
    boards.start(run)
    wait_for(lambda: told == [(f"TensorBoard of probe: {URL}", False)], "its address")
    (board,) = Board.made
    assert (boards.url(run), board.open) == (URL, True)
    boards.stop(run)
    assert (boards.has(run), boards.url(run)) == (False, "")
    wait_for(lambda: not board.open, "its end")
    assert len(told) == 1  # whoever asked for the end knows of it


def test_the_thread_that_starts_it_lives_as_long(tmp_path: Path, boards: Boards) -> None:
    """The kernel ends TensorBoard with that thread."""
    boards.start(make_run(tmp_path))
    wait_for(lambda: Board.made, "its start")
    (board,) = Board.made
    assert board.thread is not threading.current_thread()
    assert board.thread.daemon  # leaving the console waits for none
    boards.close()
    board.thread.join(20)
    assert (board.open, board.thread.is_alive()) == (False, False)


@pytest.mark.parametrize("launched", [True, False])
def test_it_ends_with_a_run_that_trains(
    launched: bool, tmp_path: Path, boards: Boards, told: list[tuple[str, bool]]
) -> None:
    run = make_run(tmp_path)
    lock, writer = acquire(run), StatusWriter(run, attempt=1)
    (boards.launched if launched else boards.start)(run)
    wait_for(lambda: boards.url(run), "its address")
    writer.finish("finished", 0)
    lock.release()
    wait_for(lambda: not boards.has(run), "its end")
    wait_for(lambda: told[-1] == ("TensorBoard of probe ended with its training", False), "the word of it")
    assert not Board.made[0].open


@pytest.mark.parametrize(("name", "words"), [("dead", "TensorBoard ended by itself"), ("refused", "no room")])
def test_its_failure_is_one_line_and_it_can_be_started_again(
    name: str,
    words: str,
    tmp_path: Path,
    boards: Boards,
    told: list[tuple[str, bool]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_run(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(Board, "alive", False)
        broken.setattr(service, "TensorBoard", Refused if name == "refused" else Board)
        boards.start(run)
        wait_for(lambda: told and told[-1][1], "the failure")
    assert words in told[-1][0]
    assert "\n" not in told[-1][0]
    assert not boards.has(run)
    boards.start(run)
    wait_for(lambda: boards.url(run), "the second one")


def test_a_run_that_writes_nothing_is_not_served(tmp_path: Path, boards: Boards, told: list[tuple[str, bool]]) -> None:
    run = silent(tmp_path)
    boards.launched(run)
    wait_for(lambda: told == [("", False)], "the end of its thread")
    boards.start(run)
    wait_for(lambda: len(told) == 2, "the refusal")
    assert told[-1] == ("silent: writes nothing for TensorBoard; set logging.tensorboard = true", True)
    assert Board.made == []


def test_a_port_on_which_another_process_answers_is_not_its_own() -> None:
    with socket.socket() as mine:
        mine.bind((service.HOST, 0))
        mine.listen()
        port = mine.getsockname()[1]
        assert service._listens(os.getpid(), port)
        assert not service._listens(os.getpid(), port + 1)
        assert not service._listens(os.getppid(), port)
