"""Strange things in a control folder are removed, never followed, never obeyed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nanocore.errors import ResourceError
from nanocore.runs.control import Inbox, send
from nanocore.runs.documents import write_document
from nanocore.runs.layout import RunFolder
from nanocore.runs.status import Status
from tests.run_helpers import make_run, short


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = make_run(tmp_path)
    write_document(made.status_file, Status(attempt=1))
    return made


GOOD = b'{"schema":1,"attempt":1,"sent":1.0,"arguments":{}}'


def test_a_link_to_a_good_command_is_not_obeyed(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "stop").write_bytes(GOOD)
    (run.control_dir / "stop").symlink_to(tmp_path / "stop")
    assert Inbox(run, 1).poll() == []
    assert not (run.control_dir / "stop").is_symlink()
    assert (tmp_path / "stop").read_bytes() == GOOD


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"{",
        b"\0" * 100,
        b"\xff",
        b"x" * (1 << 20),
        b"[" * 50_000,
        b'{"schema":1,"attempt":"1","sent":1,"arguments":{}}',
    ],
    ids=short,
)
def test_garbage_is_no_command(run: RunFolder, contents: bytes) -> None:
    (run.control_dir / "stop").write_bytes(contents)
    assert Inbox(run, 1).poll() == []
    assert list(run.control_dir.iterdir()) == []


def test_pipes_folders_and_unknown_names_do_not_stop_the_trainer(run: RunFolder) -> None:
    os.mkfifo(run.control_dir / "pause")
    (run.control_dir / "checkpoint").mkdir()
    (run.control_dir / "explode").write_bytes(GOOD)
    (run.control_dir / "stop").write_bytes(GOOD)
    inbox = Inbox(run, 1)
    inbox.discard_stale()
    assert [command.name for command in inbox.poll()] == ["stop"]
    assert inbox.poll() == []


def test_a_linked_or_missing_control_folder_takes_no_commands(run: RunFolder, tmp_path: Path) -> None:
    run.control_dir.rmdir()
    assert Inbox(run, 1).poll() == []
    with pytest.raises(ResourceError, match="cannot be left"):
        send(run, "stop")
    (tmp_path / "outside").mkdir()
    run.control_dir.symlink_to(tmp_path / "outside")
    (tmp_path / "outside" / "stop").write_bytes(GOOD)
    assert Inbox(run, 1).poll() == []
    with pytest.raises(ResourceError):
        send(run, "pause")
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["stop"]


def test_a_command_is_never_written_through_a_link(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (run.control_dir / "stop").symlink_to(tmp_path / "precious")
    (run.control_dir / f".pause.tmp-{os.getpid()}").symlink_to(tmp_path / "precious")
    send(run, "stop")
    with pytest.raises(ResourceError):
        send(run, "pause")
    assert (tmp_path / "precious").read_text() == "kept"
    assert [command.name for command in Inbox(run, 1).poll()] == ["stop"]


def test_a_half_written_command_is_not_seen(run: RunFolder) -> None:
    (run.control_dir / ".stop.tmp-123").write_bytes(GOOD[:10])
    assert Inbox(run, 1).poll() == []
