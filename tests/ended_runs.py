"""Runs of every kind of end, as the cache of the list meets them, and what of them is read."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path
from unittest import mock

import pytest

from nanoconsole.services import run_cache, run_index
from nanoconsole.services.known_run import read_first
from nanoconsole.services.listed import Listed
from nanoconsole.services.run_index import read_list
from nanocore.config.schema import Config
from nanocore.runs.create import create_run
from nanocore.runs.layout import run_lists
from nanocore.runs.notes import change_notes
from nanocore.runs.records import RecordWriter
from tests.tui.scenes import lay

LONG_AGO = 1e9
ENDED = ["diverged", "finished", "stopped"]
UNENDED = ["fresh", "killed"]


def age(folder: Path) -> None:
    """Let a run's folder and files be as old as each other: no time tells what was changed."""
    for path in (*folder.iterdir(), folder):
        os.utime(path, (LONG_AGO, LONG_AGO))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of every kind of end, and two that have none."""
    root = tmp_path_factory.mktemp("original") / "runs"
    lay(root, "finished", steps=80, age=50)
    change_notes(lay(root, "stopped", state="stopped", steps=3), add=["good"], note="größer [b]")
    diverged = lay(root, "diverged", state="diverged", steps=2, message="loss is not finite", age=100)
    RecordWriter(diverged.metrics_file).write({"step": 3, "attempt": 1, "loss/ce": math.nan, "own/\n": math.inf})
    lay(root, "killed", state="running", steps=2, pid=2**22 + 1)
    create_run(root, Config(), name="fresh")
    return root


@pytest.fixture
def root(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of them; a cache is used from the first run on."""
    monkeypatch.setattr(run_cache, "FEWEST", 1)
    copy = shutil.copytree(original, tmp_path / "runs")
    for folder in copy.iterdir():
        age(folder)
    return copy


def listing(root: Path) -> tuple[str, list[str]]:
    """The list in full, and the names of the runs whose folders were read for it."""
    with mock.patch.object(run_index, "read_first", wraps=read_first) as reads:
        runs = read_list(root)
    return repr(runs), sorted(call.args[0].name for call in reads.call_args_list)


def uncached(root: Path) -> str:
    return repr(sorted((read_first(run.run, "").listed for run in read_list(root)), key=_by_age))


def _by_age(listed: Listed) -> tuple[float, str]:
    return -listed.summary.created, listed.label


def kept_file() -> Path:
    (found,) = run_lists().iterdir()
    return found
