"""What is kept of ended runs: it changes nothing but the time, is never trusted, and never stands in the way."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from nanoconsole.services import run_cache, run_index
from nanoconsole.services.known_run import read_first
from nanoconsole.services.run_index import RunIndex, read_list
from nanocore.runs.layout import RunFolder, run_lists
from nanocore.runs.notes import change_notes
from nanocore.runs.records import RecordWriter
from tests import command_line, ended_runs
from tests.command_line import Nano
from tests.ended_runs import ENDED, UNENDED, age, kept_file, listing, uncached
from tests.tui.scenes import at_work, set_status

nano = command_line.nano
original, root = ended_runs.original, ended_runs.root


def test_the_list_is_the_same_and_ended_runs_are_not_read_again(root: Path) -> None:
    first, read = listing(root)
    assert read == sorted([*ENDED, *UNENDED])
    assert listing(root) == (first, UNENDED)
    assert first == uncached(root)
    assert "nan" in first and "größer [b]" in first


def test_the_console_finds_what_the_command_kept_and_keeps_for_it(root: Path) -> None:
    index = RunIndex(root)
    while index.look()[1]:
        pass
    index.look()  # all is told: now it is kept
    first, read = listing(root)
    assert read == UNENDED
    with mock.patch.object(run_index, "read_first", wraps=read_first) as reads:
        again = RunIndex(root)
        while again.look()[1]:
            pass
    assert reads.call_count == len(UNENDED)
    assert repr(list(again.look()[0].runs)) == repr(list(index.look()[0].runs)) == first


def test_a_run_from_the_cache_is_followed_like_any_other(root: Path) -> None:
    listing(root)
    index, run = RunIndex(root), RunFolder(root / "finished")
    index.look()
    before = index.look()[0].find(run)
    RecordWriter(run.metrics_file).write({"step": 81, "attempt": 1, "elapsed": 20.25, "loss/ce": 0.5})
    set_status(run, state="stopped", step=81)
    after = index.look()[0].find(run)
    assert before is not None and after is not None
    assert (before.state, after.state, after.summary.step, after.summary.loss) == ("finished", "stopped", 81, 0.5)
    assert after.summary.preset == before.summary.preset == "tiny-cpu"


def _touch(name: str) -> Callable[[RunFolder], None]:
    def change(run: RunFolder) -> None:
        with (run.path / name).open("ab") as file:
            file.write(b"\n")

    return change


CHANGES: dict[str, Callable[[RunFolder], object]] = {
    "status replaced": lambda run: set_status(run, state="stopped"),
    "tagged": lambda run: change_notes(run, add=["new"]),
    "archived": lambda run: change_notes(run, archived=True),
    "trained on": lambda run: RecordWriter(run.metrics_file).write({"step": 999, "loss/ce": 0.1}),
    "evaluated": lambda run: RecordWriter(run.events_file).write({"step": 999, "eval/bits_per_byte": 1.0}),
    "run.json edited in place": _touch("run.json"),
    "log edited in place": _touch("stdout.log"),
    "metrics gone": lambda run: run.metrics_file.unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_run_of_which_anything_changed_is_read_again(root: Path, change: str) -> None:
    listing(root)
    run = RunFolder(root / "finished")
    CHANGES[change](run)
    age(run.path)
    shown, read = listing(root)
    assert read == sorted(["finished", *UNENDED])
    assert shown == uncached(root)


def test_a_run_that_somebody_works_on_is_never_taken_from_the_cache(root: Path) -> None:
    run = RunFolder(root / "finished")
    run.lock_file.touch()
    age(run.path)
    assert listing(root)[1] and listing(root)[1] == UNENDED
    with at_work(run):
        age(run.path)
        shown, read = listing(root)
        assert read == sorted(["finished", *UNENDED])
        assert "alive=True" in shown


def test_what_changed_a_moment_ago_is_not_kept_yet(root: Path) -> None:
    os.utime(root / "finished")
    listing(root)
    assert listing(root)[1] == sorted(["finished", *UNENDED])


def test_nobody_else_can_read_it_and_nothing_else_is_left_behind(root: Path) -> None:
    listing(root)
    assert stat.S_IMODE(kept_file().stat().st_mode) == 0o600
    assert stat.S_IMODE(run_lists().stat().st_mode) == 0o700


@pytest.mark.parametrize("place", ["a file", "nowhere", "read-only"])
def test_without_a_place_for_it_the_list_is_read_all_the_same(
    root: Path, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Path("/proc/none") if place == "nowhere" else tmp_path / "cache"
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(cache))
    if place == "a file":
        cache.write_text("")
    elif place == "read-only":
        run_lists().mkdir(parents=True)
        run_lists().chmod(0o500)
        if os.geteuid() == 0:  # whom no mode stops
            monkeypatch.setattr(run_cache, "replace_file", mock.Mock(side_effect=PermissionError(13, "denied")))
    assert listing(root) == listing(root)
    assert len(listing(root)[1]) == 5
    assert place != "read-only" or not list(run_lists().iterdir())


def test_it_stays_small(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(run_cache, "MOST_FILES", 2)
    roots = [shutil.copytree(root, tmp_path / f"copy{number}") for number in range(3)]
    for copy in roots:
        read_list(copy)
        time.sleep(0.01)
    assert len(list(run_lists().iterdir())) == 2
    assert [len(listing(copy)[1]) for copy in reversed(roots)] == [2, 2, 5]
    monkeypatch.setattr(run_cache, "LARGEST", 3000)
    shutil.rmtree(run_lists())
    first, _ = listing(root)
    assert kept_file().stat().st_size <= 3000
    again, read = listing(root)
    assert again == first and 2 < len(read) < 5


def test_few_runs_need_none(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_cache, "FEWEST", 6)
    listing(root)
    assert not run_lists().exists()


def test_two_consoles_at_once_leave_a_whole_file(root: Path) -> None:
    one, other = RunIndex(root), RunIndex(root)
    for index in (one, other, one, other):
        index.look()
    assert listing(root)[1] == UNENDED


def test_the_json_of_all_runs_is_the_same_with_and_without_it(root: Path, nano: Nano) -> None:
    first = nano("runs", "list", "--json")
    assert kept_file().exists()
    again = nano("runs", "list", "--json")
    assert first.code == again.code == 0
    assert again.out == first.out
    shown = nano("runs", "show", "finished", "--json").data
    assert {key: shown[key] for key in again.data[0]} == next(run for run in again.data if run["name"] == "finished")
