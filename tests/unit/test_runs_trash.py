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
from nanocore.runs.trash import discard, trash_dir
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
    place.rename(run.path)
    assert run.sample_file(1).read_text() == "kept"
    assert Path(nano("runs", "delete", "old", "--json").data["trash"]).is_dir()
    assert nano("runs", "delete", "old").code == 2


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
