"""Deleting a run moves it where it can be fetched from, and never takes it from its trainer."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanocore.checkpoint.manifest import commit, step_folder
from nanocore.config.schema import Config
from nanocore.errors import UsageError
from nanocore.runs.create import Parent, create_run
from nanocore.runs.layout import list_runs
from nanocore.runs.liveness import acquire
from nanocore.runs.status import StatusWriter
from nanocore.runs.trash import Discarded, discard, discarded, restore, to_trash, trash_dir
from tests import command_line
from tests.command_line import Nano
from tests.run_helpers import exit_code, fork, make_run

nano = command_line.nano


def test_a_deleted_run_is_whole_in_the_trash_and_can_be_moved_back(nano: Nano, tmp_path: Path) -> None:
    run = make_run(tmp_path, "old")
    run.sample_file(1).write_text("kept")
    result = nano("runs", "delete", "old")
    place = Path(result.out.strip())
    assert (result.code, list_runs(nano.root)) == (0, [])
    assert place.parent == trash_dir(nano.root) and place.name.startswith("old-2")
    assert [one["run"] for one in nano("runs", "trash", "--json").data] == ["old"]
    back = nano("runs", "restore", "old", "--json")
    assert (back.code, back.data) == (0, [{"run": "old", "path": str(run.path)}])
    assert run.sample_file(1).read_text() == "kept"
    assert nano("runs", "trash").err == "the trash is empty\n"
    assert Path(nano("runs", "delete", "old", "--json").data["trash"]).is_dir()
    assert nano("runs", "delete", "old").code == 2


def test_of_several_the_last_deleted_comes_back_unless_its_folder_is_named(nano: Nano, tmp_path: Path) -> None:
    for number, moment in enumerate(("20260101-120000", "20260301-120000", "20260201-120000")):
        run = make_run(tmp_path, "twice")
        run.sample_file(1).write_text(str(number))
        discard(nano.root, run).rename(trash_dir(nano.root) / f"twice-{moment}")
    (trash_dir(nano.root) / "notes-20260101-120000").mkdir()  # of no deletion
    assert [one.path.name[-15:-11] for one in discarded(nano.root)] == ["2026"] * 3
    assert nano("runs", "restore", "twice").err == "twice is a run again\n"
    assert run.sample_file(1).read_text() == "1"
    taken = nano("runs", "restore", "twice-20260101-120000")
    assert (taken.code, taken.err.count("\n")) == (2, 1)
    assert "a run named 'twice' exists already" in taken.err
    run.path.rename(tmp_path / "runs" / "first")
    nano("runs", "restore", "twice-20260101-120000")
    assert run.sample_file(1).read_text() == "0"
    assert [one.path.name for one in discarded(nano.root)] == ["twice-20260201-120000"]


def test_a_part_that_a_repair_put_away_is_listed_and_goes_back_to_its_run(nano: Nano, tmp_path: Path) -> None:
    run, named_alike = make_run(tmp_path, "a"), make_run(tmp_path, "a-step-00000010")
    home, part = step_folder(run.checkpoints_dir, 10), "a/checkpoints/step-00000010"
    commit(lambda folder: (folder / "x").write_text("kept"), home, {})  # type: ignore[arg-type, return-value]
    place = to_trash(nano.root, home, "a-step-00000010")
    assert (place / "x").read_text() == "kept" and not home.exists()
    (listed,) = nano("runs", "trash", "--json").data
    assert (listed["run"], listed["part"]) == ("a", "checkpoints/step-00000010")
    assert nano("runs", "restore", "a").code == nano("runs", "restore", "a-step-00000010").code == 2  # no such runs
    lock = acquire(run)
    assert nano("runs", "restore", part).code == 75
    lock.release()
    home.mkdir()
    assert "is there already" in nano("runs", "restore", part).err
    home.rmdir()
    back = nano("runs", "restore", part)
    assert (back.code, back.err, (home / "x").read_text()) == (0, f"{part} is back\n", "kept")
    assert list(trash_dir(nano.root).iterdir()) == [] and named_alike.run_file.is_file()


def test_links_inside_of_the_trash_lead_nowhere(nano: Nano, tmp_path: Path) -> None:
    run = make_run(tmp_path, "a")
    (tmp_path / "away" / "step-00000010").mkdir(parents=True)
    place = trash_dir(nano.root) / "a-x-20260101-120000" / "a"
    place.mkdir(parents=True)
    (place / "checkpoints").symlink_to(tmp_path / "away")
    assert discarded(nano.root) == []
    part = Discarded(nano.root, "a/checkpoints/step-00000010", 0.0, place.parent)
    with pytest.raises(UsageError, match="is a symbolic link"):
        restore(part)
    assert not step_folder(run.checkpoints_dir, 10).exists()


def test_what_is_not_in_the_trash_is_one_line(nano: Nano, tmp_path: Path) -> None:
    assert "the trash is empty" in nano("runs", "restore", "nobody").err
    discard(nano.root, make_run(tmp_path, "old"))
    refused = nano("runs", "restore", "old", "../old")
    assert (refused.code, refused.err.count("\n"), list_runs(nano.root)) == (2, 1, [])
    assert "runs trash" in refused.err


def test_a_run_that_a_trainer_has_stays(nano: Nano, tmp_path: Path) -> None:
    run = make_run(tmp_path, "busy")
    lock = acquire(run)
    refused = nano("runs", "delete", "busy")
    lock.release()
    assert (refused.code, refused.err.count("\n"), run.path.is_dir()) == (75, 1, True)
    assert f"nanoconsole --runs {nano.root} stop busy" in refused.err


def test_an_ended_run_is_free_again_after_the_move(nano: Nano, tmp_path: Path) -> None:
    run = make_run(tmp_path, "ended")
    StatusWriter(run, attempt=1, steps=1).finish("finished", 0, "")
    discard(nano.root, run)
    again = make_run(tmp_path, "ended")
    assert exit_code(fork(lambda: acquire(again))) == 0


def test_a_run_that_a_fork_still_starts_from_stays(nano: Nano, tmp_path: Path) -> None:
    parent, unrelated = make_run(tmp_path, "parent"), make_run(tmp_path, "unrelated")
    child = create_run(nano.root, Config(), name="child", parent=Parent("parent", 4))
    refused = nano("runs", "delete", "parent")
    assert (refused.code, refused.err.count("\n"), parent.path.is_dir()) == (2, 1, True)
    assert "parent: is needed by its fork child, which has no checkpoint of its own yet" in refused.err
    discard(nano.root, unrelated)
    commit(lambda folder: None, step_folder(child.checkpoints_dir, 5), {})
    discard(nano.root, parent)
    assert [run.name for run in list_runs(nano.root)] == ["child"]


def test_a_fork_without_a_checkpoint_may_go_first(nano: Nano, tmp_path: Path) -> None:
    parent = make_run(tmp_path, "parent")
    discard(nano.root, create_run(nano.root, Config(), name="child", parent=Parent("parent", 4)))
    discard(nano.root, parent)
    assert list_runs(nano.root) == []


def test_symbolic_links_are_refused(nano: Nano, tmp_path: Path) -> None:
    run = make_run(tmp_path, "real")
    (nano.root / "link").symlink_to(run.path)
    assert nano("runs", "delete", "link").code == 2
    (tmp_path / "elsewhere").mkdir()
    trash_dir(nano.root).parent.mkdir()
    trash_dir(nano.root).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="is a symbolic link"):
        discard(nano.root, run)
    assert run.path.is_dir()
