"""Commands reach the attempt they were meant for, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanocore.errors import UsageError
from nanocore.runs.control import COMMANDS, Command, Inbox, send
from nanocore.runs.documents import write_document
from nanocore.runs.layout import RunFolder
from nanocore.runs.status import Status
from tests.run_helpers import make_run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = make_run(tmp_path)
    write_document(made.status_file, Status(attempt=2))
    return made


def test_a_command_arrives_once_with_its_arguments(run: RunFolder) -> None:
    send(run, "sample", prompt="def \x1b", tokens=5)
    inbox = Inbox(run, 2)
    assert inbox.poll() == [Command("sample", {"prompt": "def \x1b", "tokens": 5})]
    assert inbox.poll() == []
    assert list(run.control_dir.iterdir()) == []


def test_commands_come_in_the_order_they_were_sent(run: RunFolder) -> None:
    for name in reversed(COMMANDS):
        send(run, name)
    assert [command.name for command in Inbox(run, 2).poll()] == list(reversed(COMMANDS))


def test_commands_to_an_earlier_attempt_are_forgotten_at_the_start(run: RunFolder) -> None:
    send(run, "stop")
    write_document(run.status_file, Status(attempt=3))
    send(run, "checkpoint")
    inbox = Inbox(run, 3)
    inbox.discard_stale()
    assert [path.name for path in run.control_dir.iterdir()] == ["checkpoint"]
    assert [command.name for command in inbox.poll()] == ["checkpoint"]


def test_a_stale_command_that_comes_late_is_not_obeyed(run: RunFolder) -> None:
    send(run, "stop")
    assert Inbox(run, 9).poll() == []
    assert list(run.control_dir.iterdir()) == []


def test_an_unknown_command_is_refused(run: RunFolder) -> None:
    with pytest.raises(UsageError, match="unknown command 'explode'"):
        send(run, "explode")
    with pytest.raises(UsageError):
        send(run, "../stop")
    assert list(run.control_dir.iterdir()) == []
