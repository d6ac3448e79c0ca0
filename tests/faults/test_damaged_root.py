"""Whatever lies in the place of a file of the queue or of a run: one clear line and an exit code, soon."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nanoconsole.services.run_index import RunIndex
from nanoconsole.services.waiting import read
from nanocore.config.schema import Config
from nanocore.errors import ResourceError, UsageError
from nanocore.runs import create, liveness, queue, spawn, supervisor
from nanocore.runs.create import create_run
from nanocore.runs.layout import RunFolder, private, queue_dir
from nanocore.runs.liveness import observe
from nanocore.runs.pack import pack_run
from tests import command_line
from tests.command_line import Nano
from tests.queue_helpers import states
from tests.quick import quick
from tests.whole_run import whole_run

nano = command_line.nano
Put = Callable[[Path], object]

STRANGE: dict[str, Put] = {
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path.name),
}
BROKEN: dict[str, Put] = {
    "nothing": lambda path: None,
    "an empty file": lambda path: path.write_bytes(b""),
    "a torn file": lambda path: path.write_bytes(b'{"schema": 1, "entries": [{"run": "a'),
    "garbage": lambda path: path.write_bytes(b"\xff\0\x1b[2J" * 100),
    "a list": lambda path: path.write_bytes(b"[]"),
    "brackets": lambda path: path.write_bytes(b"[" * 100_000),
    "5 MiB": lambda path: path.write_bytes(b" " * (5 << 20)),
}
QUEUE_FILES = ("queue/queue.json", "queue/edit.lock", "queue/LOCK", "queue/stdout.log", "queue", ".")
QUEUE = (
    "queue list", "queue set first --slots 2", "queue move first 2", "queue halt", "queue start", "queue cancel first",
    "queue add tiny-cpu --name new", "runs list",
)  # fmt: skip
PRIVATE_FILES = ("alerts.jsonl", "alerts.lock", "trash", "incoming")
PRIVATE = ("alerts list", "runs trash", "runs import run.tar", "runs delete whole")
RUN_FILES = ("run.json", "status.json", "config.toml", "notes.toml", "metrics.jsonl", "events.jsonl", "LOCK")
RUN = ("runs list", "runs show whole", "watch whole", "stop whole")


class Nobody:
    """A process that is started and does nothing."""

    pid = 0
    begun = 0

    def __init__(self, *_: object, **__: object) -> None:
        Nobody.begun += 1

    def wait(self) -> int:
        return 0


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that ended and two that wait; no test changes it."""
    root = tmp_path_factory.mktemp("sound")
    whole_run(root)
    for name in ("first", "second"):
        create_run(root, Config(), name=name)
    queue.add(root, [queue.Entry("first"), queue.Entry("second")])
    return root


@pytest.fixture
def fresh(sound: Path, nano: Nano, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Path]]:
    """Makes the root anew. No process is started, no trainer can be, and whoever waits is ended."""
    monkeypatch.setattr(spawn.subprocess, "Popen", Nobody)
    monkeypatch.setattr(spawn, "spawn_trainer", _refuse)
    monkeypatch.setattr(create, "git_revision", str)
    monkeypatch.setattr(supervisor, "INTERVAL", 0.001)
    monkeypatch.setattr(supervisor.faulthandler, "enable", lambda: None)  # stderr is captured
    monkeypatch.setattr(os, "fsync", lambda _: None)
    previous = signal.signal(signal.SIGALRM, _waited)
    signal.alarm(30)

    def make() -> Path:
        shutil.rmtree(nano.root, ignore_errors=True)
        Nobody.begun = 0
        return Path(shutil.copytree(sound, nano.root))

    yield make
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


def _refuse(*_: object, **__: object) -> None:
    raise ResourceError("no trainer in this test")


def _waited(*_: object) -> None:
    raise AssertionError("it waits")


def replace(path: Path, put: Put) -> None:
    """Something else in the place of a file or folder."""
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    put(path)


def said(nano: Nano, line: str) -> str:
    """A command's answer: done, or one line on what is wrong under a documented code."""
    result = nano(*line.split())
    assert result.code in (0, 2, 6), f"{line}: {result}"
    assert "unexpected" not in result.err and "Traceback" not in result.out + result.err
    if result.code:
        assert (result.err or result.out.splitlines()[-1]).count("\n") <= 1, f"{line}: {result}"
    assert not re.search(r"\d{4,}d ago", result.out), "a time that is not known is not shown"
    return result.err


def supervised(root: Path) -> int:
    """The exit code of a supervisor of the root, which may not wait for ever."""
    try:
        return supervisor.main([str(root)])
    finally:
        for _, lock in list(liveness._held.values()):
            lock.release()


@pytest.mark.parametrize("name", quick(QUEUE_FILES, "queue/queue.json", "queue/LOCK"))
def test_whatever_lies_in_the_place_of_a_file_of_the_queue(name: str, nano: Nano, fresh: Callable[[], Path]) -> None:
    for put in (STRANGE | (BROKEN if name.endswith(".json") else {})).values():
        root = fresh()
        replace(private(root) / name, put)
        for line in QUEUE:
            said(nano, line)
        assert "\n" not in read(root).problem
        assert supervised(root) in (0, 2)
        index = RunIndex(root)
        assert {"whole", "second"} <= {each.summary.name for each in index.look()[0].runs}


@pytest.mark.parametrize("name", quick(PRIVATE_FILES, "trash"))
def test_whatever_lies_in_the_place_of_what_else_lies_beside_the_runs(
    name: str, nano: Nano, fresh: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pack_run(RunFolder(fresh() / "whole"), tmp_path / "run.tar")
    for put in STRANGE.values():
        root = fresh()
        (root / "whole").rename(root / "whale")
        replace(private(root) / name, put)
        for line in PRIVATE:
            said(nano, line)


@pytest.mark.parametrize("name", quick(RUN_FILES, "run.json", "status.json"))
def test_whatever_lies_in_the_place_of_a_file_of_a_run(name: str, nano: Nano, fresh: Callable[[], Path]) -> None:
    for put in (STRANGE | (BROKEN if name.endswith(".json") else {})).values():
        root = fresh()
        for run in ("whole", "first"):
            replace(root / run / name, put)
        for line in RUN:
            said(nano, line)
        assert supervised(root) == 0  # the damaged run has failed, and the next had its turn
        assert states(root) == {"first": "failed", "second": "failed"}
        RunIndex(root).look()


def test_a_run_without_run_json_is_told_apart_from_one_that_is_not_there(nano: Nano, fresh: Callable[[], Path]) -> None:
    for put in (*STRANGE.values(), BROKEN["nothing"]):
        replace(fresh() / "whole" / "run.json", put)
        assert "its folder holds no run.json that is a regular file" in said(nano, "runs show whole")
    assert "folder" not in said(nano, "runs show whose")


def test_no_document_is_read_through_a_link_however_sound_it_is(nano: Nano, fresh: Callable[[], Path]) -> None:
    root = fresh()
    for path in (queue_dir(root) / "queue.json", root / "whole" / "status.json"):
        path.rename(root / path.name)
        path.symlink_to(root / path.name)
    assert "the queue cannot be read: Too many levels of symbolic links" in said(nano, "queue list")
    assert observe(RunFolder(root / "whole")).state == "unknown"


def test_a_supervisor_that_could_not_take_its_lock_is_not_started_in_silence(
    nano: Nano, fresh: Callable[[], Path]
) -> None:
    for name in ("LOCK", "stdout.log"):
        replace(queue_dir(fresh()) / name, STRANGE["a folder"])
        for line in ("queue start", "queue list"):
            assert name in said(nano, line) and "move" in said(nano, line)
        assert Nobody.begun == 0


REFUSED: tuple[tuple[str, Any], ...] = (
    ("slots", 0), ("slots", -1), ("slots", 10**30), ("slots", "2"), ("slots", None), ("restarts", -1),
    ("restarts", 10**9), ("restarted", -(10**400)), ("attempt", 10**20), ("again", -1.0), ("ended", -1e308),
    ("state", "waitinh"), ("pace", {"steps": 10**400, "calibration": "x"}), ("pace", {"steps": 0, "calibration": "x"}),
)  # fmt: skip
BORNE: tuple[tuple[str, Any], ...] = (
    ("run", "../../etc"), ("run", ""), ("run", "gone"), ("run", "second"), ("again", 1e308), ("added", 1e308),
    ("pace", {"steps": 3, "calibration": "../x"}), ("state", "running"), ("reason", "\x1b[2J\n" * 100),
)  # fmt: skip


def write(root: Path, key: str, value: object) -> Path:
    """The queue with a value of its first entry changed by hand."""
    path = queue_dir(root) / "queue.json"
    document = json.loads(path.read_text())
    document["entries"][0][key] = value
    path.write_text(json.dumps(document))
    return path


def test_a_value_under_which_the_queue_would_wait_for_ever_is_refused(nano: Nano, fresh: Callable[[], Path]) -> None:
    for key, value in REFUSED:
        path = write(fresh(), key, value)
        for line in ("queue start", "queue list"):
            err = said(nano, line)
            assert f"{path}: the queue cannot be read: " in err and "correct it, or move this file away" in err
        assert key in err or "number" in err.lower(), err
        assert (supervised(nano.root), Nobody.begun) == (2, 0)


def test_a_value_that_concerns_one_run_costs_that_run_alone(nano: Nano, fresh: Callable[[], Path]) -> None:
    for key, value in BORNE:
        root = fresh()
        write(root, key, value)
        said(nano, "queue list")
        assert supervised(root) == 0
        assert set(states(root).values()) == {"failed"}


def test_no_entry_is_written_that_nobody_could_read(fresh: Callable[[], Path]) -> None:
    root = fresh()
    with pytest.raises(UsageError, match=r"cannot be put into the queue: Expected `int` >= 1 .*slots"):
        queue.set_options(root, "first", slots=0)
    assert [entry.slots for entry in queue.read_queue(root).entries] == [1, 1]
