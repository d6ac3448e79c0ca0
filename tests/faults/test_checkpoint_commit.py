"""A commit that is killed at any point leaves the old checkpoint or the new one, never a mixture."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nanocore.checkpoint.manifest import available, commit, latest, retain, step_folder, sweep, verify
from nanocore.runs import failpoint
from tests.run_helpers import exit_code, fork

POINTS = [
    "checkpoint.begin", "checkpoint.built", "checkpoint.fsync:1", "checkpoint.fsync:2", "checkpoint.flushed",
    "checkpoint.manifest", "checkpoint.aside", "checkpoint.rename", "checkpoint.renamed",
]  # fmt: skip
AFTER = ["checkpoint.renamed"]


def _writer(content: bytes) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(content * 1000)
        (folder / "state.json").write_bytes(content)

    return build


def _save(folder: Path, step: int, content: bytes = b"x") -> Path:
    commit(_writer(content), step_folder(folder, step), {"step": step})
    return step_folder(folder, step)


def _killed_while_saving(folder: Path, step: int, point: str, content: bytes = b"x") -> int:
    def work() -> None:
        failpoint.arm(point)
        _save(folder, step, content)

    return exit_code(fork(work))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    _save(tmp_path / "checkpoints", 100)
    return tmp_path / "checkpoints"


def test_a_commit_is_whole_and_says_what_it_holds(folder: Path) -> None:
    path = step_folder(folder, 100)
    assert path.name == "step-00000100"
    assert verify(path) == []
    assert sorted(p.name for p in path.iterdir()) == ["manifest.json", "model.safetensors", "state.json"]
    assert [p.name for p in folder.iterdir()] == [path.name]


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_point_leaves_the_old_or_the_new(folder: Path, point: str) -> None:
    if point == "checkpoint.aside":
        (folder / "step-00000200").mkdir()  # something broken is in the way
    assert _killed_while_saving(folder, 200, point) == -signal.SIGKILL
    found = latest(folder)
    assert found is not None
    assert found.name == ("step-00000200" if point in AFTER else "step-00000100")
    sweep(folder)
    assert latest(folder) == found
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    _save(folder, 200, b"again")
    assert latest(folder) == step_folder(folder, 200)


def test_everything_is_on_the_disk_before_the_name_and_then_the_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No kill shows this, only a power failure: what the kernel holds is written by fsync alone."""
    done: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def note_fsync(descriptor: int) -> None:
        done.append(f"flush {Path(f'/proc/self/fd/{descriptor}').readlink().name.split('.tmp-')[0]}")
        fsync(descriptor)

    def note_rename(path: Path, target: Path) -> Path:
        done.append(f"rename {target.name}")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "rename", note_rename)
    _save(folder, 200)
    assert done == [
        "flush model.safetensors", "flush state.json", "flush .manifest.json", "flush .step-00000200",
        "rename step-00000200", "flush checkpoints",
    ]  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
def test_replacing_the_only_checkpoint_never_loses_it(folder: Path, point: str) -> None:
    assert _killed_while_saving(folder, 100, point, b"new") == -signal.SIGKILL
    sweep(folder)
    found = latest(folder)
    assert found is not None
    assert (found / "state.json").read_bytes() == (b"new" if point in AFTER else b"x")
    assert [p.name for p in folder.iterdir()] == ["step-00000100"]


@pytest.mark.parametrize("action", ["enospc", "eio", "raise"])
@pytest.mark.parametrize(
    "point", ["checkpoint.begin", "checkpoint.fsync:2", "checkpoint.manifest", "checkpoint.rename"]
)
def test_an_error_while_saving_is_raised_and_leaves_nothing(folder: Path, point: str, action: str) -> None:
    name, _, count = point.partition(":")
    failpoint.arm(f"{name}:{count or 1}:{action}")
    try:
        with pytest.raises((OSError, RuntimeError)) as caught:
            _save(folder, 200)
    finally:
        failpoint.arm("")
    assert getattr(caught.value, "errno", None) == {"enospc": errno.ENOSPC, "eio": errno.EIO, "raise": None}[action]
    assert [p.name for p in folder.iterdir()] == ["step-00000100"]


def test_the_environment_arms_a_failpoint_in_any_process(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from nanocore.checkpoint.manifest import commit\n"
        "commit(lambda folder: (folder / 'a').write_text('a'), Path(sys.argv[1]) / 'step-00000001', {})"
    )
    environment = {**os.environ, "NANO_FAIL": "checkpoint.manifest:1:abort"}
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], env=environment, check=False)
    assert done.returncode == -signal.SIGABRT
    assert latest(tmp_path) is None


def test_files_get_the_mode_the_user_asked_for(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "private").write_text("")
        (folder / "private").chmod(0o600)  # as safetensors leaves its files

    previous = os.umask(0o027)
    try:
        commit(build, step_folder(tmp_path, 1), {})
    finally:
        os.umask(previous)
    assert {p.stat().st_mode & 0o777 for p in step_folder(tmp_path, 1).iterdir()} == {0o640}


def test_only_the_newest_whole_checkpoints_are_kept(folder: Path) -> None:
    for step in (200, 300, 400):
        _save(folder, step)
    (step_folder(folder, 400) / "state.json").unlink()  # counts for nothing
    assert [p.name for p in retain(folder, 2)] == ["step-00000100"]
    assert [p.name for p in available(folder)] == ["step-00000200", "step-00000300"]
    assert retain(folder, 2) == []


def _flip(path: Path) -> None:
    content = bytearray((path / "model.safetensors").read_bytes())
    content[7] ^= 4
    (path / "model.safetensors").write_bytes(content)  # of the same size: only its hash tells


def test_the_only_good_one_is_kept_when_the_newer_ones_turn_out_damaged(folder: Path) -> None:
    for step in (200, 300, 400):
        _save(folder, step)
    for step in (300, 400):
        _flip(step_folder(folder, step))
    assert [p.name for p in retain(folder, 2)] == ["step-00000100"]
    assert latest(folder) == step_folder(folder, 200)
    _flip(step_folder(folder, 200))
    _save(folder, 500)
    assert [p.name for p in retain(folder, 1)] == ["step-00000200", "step-00000300", "step-00000400"]


def test_those_of_every_so_many_steps_and_those_needed_stay(folder: Path) -> None:
    for step in (150, 200, 250, 300):
        _save(folder, step)
    assert [p.name for p in retain(folder, 1, needed=(150,), every=100)] == ["step-00000250"]
    assert [p.name[-3:] for p in available(folder)] == ["100", "150", "200", "300"]


def test_a_removal_that_was_killed_is_finished_by_the_sweep(folder: Path) -> None:
    step_folder(folder, 100).rename(folder / ".step-00000100.gone-1")
    (folder / "unrelated").mkdir()
    assert sweep(folder) == [".step-00000100.gone-1"]
    assert [p.name for p in folder.iterdir()] == ["unrelated"]
    assert sweep(folder / "missing") == []


def test_a_removal_that_fails_stops_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _save(folder, 200)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(shutil, "rmtree", refuse)
    assert retain(folder, 1) == []
    assert latest(folder) == step_folder(folder, 200)
