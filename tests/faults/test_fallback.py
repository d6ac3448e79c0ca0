"""A run whose newest checkpoint is damaged goes on from the one before, and says so; with none left it does not begin anew."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nanocore.checkpoint.manifest import folders
from nanocore.runs.layout import RunFolder
from tests.run_helpers import events_of, status_of, steps_of
from tests.state_of import state_of
from tests.techniques import SMALL
from tests.tiny import new_run, train


def flip(path: Path) -> None:
    content = bytearray((path / "optim.safetensors").read_bytes())
    content[len(content) // 2] ^= 8
    (path / "optim.safetensors").write_bytes(content)


def future(path: Path) -> None:
    manifest = path / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"schema": 999}))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut": (lambda path: os.truncate(path / "model.safetensors", 100), "bytes instead of"),
    "flipped": (flip, "was altered"),
    "no manifest": (lambda path: (path / "manifest.json").unlink(), "manifest.json is missing"),
    "newer": (future, "newer version of nanoconsole"),
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = new_run(tmp_path, *SMALL, "training.steps=6", "checkpoint.every=2")
    assert train(made) == 0
    return made


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_checkpoint_before_is_taken_and_the_run_comes_out_the_same(run: RunFolder, damage: str) -> None:
    expected, (act, words) = state_of(run), DAMAGE[damage]
    act(folders(run.checkpoints_dir)[-1])
    assert train(run) == 0
    (said,) = [event["message"] for event in events_of(run, "warning")]
    assert said.startswith("step-00000006 is not used: ") and words in said
    assert [event["from_step"] for event in events_of(run, "resumed")] == [4]
    assert state_of(run) == expected


def test_with_no_good_one_left_nothing_is_trained_and_nothing_is_touched(run: RunFolder) -> None:
    for path in folders(run.checkpoints_dir):
        flip(path)
    before = {path: path.read_bytes() for path in run.checkpoints_dir.rglob("*") if path.is_file()}
    trained = len(steps_of(run))
    assert train(run) == 5
    assert (status_of(run).state, status_of(run).exit_code) == ("crashed", 5)
    assert "none of its 3 checkpoints can be used" in status_of(run).message
    assert (status_of(run).step, status_of(run).steps) == (6, 6) and status_of(
        run
    ).tokens  # what it had trained is known
    assert {path: path.read_bytes() for path in run.checkpoints_dir.rglob("*") if path.is_file()} == before
    assert len(steps_of(run)) == trained


def test_with_none_left_a_run_that_saved_some_is_refused_and_one_that_never_did_begins(run: RunFolder) -> None:
    for path in folders(run.checkpoints_dir):
        shutil.rmtree(path)
    trained = len(steps_of(run))
    assert train(run) == 5
    assert "no checkpoint is left" in status_of(run).message and "of step 6" in status_of(run).message
    assert len(steps_of(run)) == trained
    never = [line for line in run.events_file.read_text().splitlines() if '"checkpoint"' not in line]
    run.events_file.write_text("\n".join(never) + "\n")
    assert train(run) == 0
    assert len(steps_of(run)) == 2 * trained
