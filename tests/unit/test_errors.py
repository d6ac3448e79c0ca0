"""What a message advises about an error of the system fits that error."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from nanocore.config.toml_text import write_text
from nanocore.data.cache import CorpusCache
from nanocore.errors import ConfigError, NanoError, ResourceError, remedy
from nanocore.runs import create, queue
from nanocore.runs.layout import queue_dir
from nanocore.train.failure import explained, unwritable

SOURCES = Path(__file__).parents[2]


def system_error(number: int, name: str = "status.json") -> OSError:
    return OSError(number, os.strerror(number), f"/runs/tiny/{name}")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "quota"),
        (errno.EFBIG, "ulimit -f"),
        (errno.EISDIR, "the folder that lies in the place of a file"),
        (errno.ENOTDIR, "the file that lies in the place of a folder"),
        (errno.EROFS, "writable"),
        (errno.EACCES, "who may write"),
        (errno.EIO, "check the disk"),
        (errno.ELOOP, "symbolic link"),
        (errno.EMFILE, "ulimit -n"),
    ],
)
def test_the_advice_fits_the_error_and_only_a_full_disk_is_told_to_be_freed(number: int, words: str) -> None:
    advice = remedy(system_error(number))
    assert words in advice
    assert ("free some space" in advice) == (number in (errno.ENOSPC, errno.EDQUOT))
    assert remedy(system_error(number), "go elsewhere") == f"{advice}, or go elsewhere"
    assert f"status.json: {os.strerror(number)}; {advice}, then resume the run" in str(
        unwritable(system_error(number), "tiny")
    )
    assert create._refusal(Path("runs"), system_error(number)).fix.startswith(advice)


def test_an_error_of_which_nothing_is_known_gets_no_advice_of_another() -> None:
    assert (remedy(OSError(errno.EPROTO, "Protocol error")), remedy(OSError("no number"))) == ("", "")
    assert remedy(OSError("no number"), "go elsewhere") == "go elsewhere"
    assert str(unwritable(OSError("odd"), "tiny")).endswith("odd; put that right, then resume the run")


def test_a_full_disk_is_told_with_its_file_and_other_errors_are_not_taken_for_it() -> None:
    found = explained(system_error(errno.ENOSPC, "run.json"))
    assert isinstance(found, ResourceError) and found.where == "run.json"
    assert found.fix == "free some space, then resume the run"
    assert explained(system_error(errno.EISDIR)) is None


def _settings(folder: Path) -> None:
    (folder / "a.toml").mkdir()
    write_text(folder / "a.toml", "x = 1")


def _data(folder: Path) -> None:
    (folder / "corpora").write_text("")
    CorpusCache(folder).build("key", lambda _: {})


def _queue(folder: Path) -> None:
    (queue_dir(folder) / "edit.lock").mkdir(parents=True)
    queue.halt(folder)


@pytest.mark.parametrize(("act", "fix"), [(_settings, "folder"), (_data, "its place"), (_queue, "folder")])
def test_whoever_meets_a_folder_where_a_file_should_be_is_not_told_to_free_space(
    tmp_path: Path, act: object, fix: str
) -> None:
    with pytest.raises((ConfigError, NanoError)) as caught:
        act(tmp_path)  # type: ignore[operator]
    assert "free" not in str(caught.value) and "move away" in str(caught.value) and fix in str(caught.value)


def test_the_advice_is_written_in_one_place() -> None:
    """unpack.py and room.py have measured that there is too little space; nobody else may take an error for that."""
    folders = ("core", "nanoconsole", "kernels")
    texts = {path: path.read_text() for folder in folders for path in (SOURCES / folder).rglob("*.py")}
    told = {path.name for path, text in texts.items() if "free some space" in text or "free the disk" in text}
    assert told == {"errors.py", "unpack.py", "room.py"}
