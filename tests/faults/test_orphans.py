"""The folder of a run that has lost its run.json is named by whatever meets it, and can be moved out of the way."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from nanoconsole.services.run_listing import Listing
from nanocore.runs.layout import RunFolder, list_runs
from tests import command_line
from tests.command_line import Nano
from tests.run_helpers import make_run
from tests.whole_run import contents, whole_run

nano = command_line.nano


@pytest.fixture(params=["missing", "a pipe"])
def orphan(nano: Nano, request: pytest.FixtureRequest) -> RunFolder:
    run = whole_run(nano.root, "lost")
    run.run_file.unlink()
    if request.param == "a pipe":
        os.mkfifo(run.run_file)
    return run


def test_verify_list_and_screen_name_it(orphan: RunFolder, nano: Nano, tmp_path: Path) -> None:
    make_run(tmp_path, "good")
    every, alone = nano("runs", "verify", "--json"), nano("runs", "verify", "lost", "--json")
    broken = [finding for finding in every.data["findings"] if finding["state"] == "broken"]
    assert (every.code, alone.code) == (5, 5)
    assert [(each["run"], each["part"]) for each in broken] == [("lost", "run.json")]
    assert "put a copy back" in broken[0]["detail"] and "runs delete lost" in broken[0]["detail"]
    listed = nano("runs", "list")
    assert (listed.code, listed.err.count("\n")) == (0, 1) and "no run.json: lost" in listed.err
    assert "lost" not in listed.out
    listing = Listing(nano.root, ())
    assert [run.name for run in listing.runs()] == ["good"] and "no run.json: lost" in listing.problem


def test_its_name_is_told_to_be_taken_and_can_be_freed(orphan: RunFolder, nano: Nano) -> None:
    refused = nano("train", "tiny-cpu", "--name", "lost", "--create-only")
    assert refused.code == 2 and "a folder without a run.json has the name 'lost'" in refused.err
    assert "runs delete lost" in refused.err
    if orphan.run_file.exists():
        orphan.run_file.unlink()
    before = contents(orphan)
    assert nano("runs", "delete", "lost").code == 0 and not orphan.path.exists()
    assert [one["run"] for one in nano("runs", "trash", "--json").data] == ["lost"]
    assert nano("runs", "restore", "lost").code == 0
    assert contents(orphan) == before


def test_repair_says_that_a_copy_is_needed(orphan: RunFolder, nano: Nano) -> None:
    (action,) = nano("runs", "repair", "lost", "--json").data["actions"]
    assert (action["part"], action["done"]) == ("run.json", "stays broken: put a copy back")


def test_a_run_that_is_just_made_and_a_folder_of_something_else_are_none(nano: Nano, tmp_path: Path) -> None:
    made = make_run(tmp_path, "made")
    made.run_file.unlink()
    (nano.root / "texts").mkdir()
    (nano.root / "texts" / "notes.txt").write_text("x")
    assert nano("runs", "list").err.startswith("no runs in") and nano("runs", "verify").code == 0
    assert nano("runs", "delete", "texts").code == 2
    old = time.time() - 60
    os.utime(made.config_file, (old, old))
    assert nano("runs", "verify").code == 5
    shutil.rmtree(made.path)
    assert list_runs(nano.root) == []
