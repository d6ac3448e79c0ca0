"""Which checkpoint a step, `latest` or `best` means."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nanocore.checkpoint import manifest
from nanocore.checkpoint.choose import choose, held_out_losses, parse_step
from nanocore.errors import CheckpointError, UsageError
from nanocore.runs.layout import RunFolder
from tests.run_helpers import make_run
from tests.saved import write_losses


def run_with(tmp_path: Path, *steps: int) -> RunFolder:
    run = make_run(tmp_path)
    for step in steps:
        target = manifest.step_folder(run.checkpoints_dir, step)
        manifest.commit(_write, target, {"step": step})
    return run


def _write(folder: Path) -> None:
    (folder / "model").write_bytes(b"weights")


def test_latest_is_the_last_and_a_number_is_that_step(tmp_path: Path) -> None:
    run = run_with(tmp_path, 4, 8)
    assert choose(run).path.name == "step-00000008"
    assert choose(run, 4).path.name == "step-00000004"
    with pytest.raises(CheckpointError, match="no checkpoint of step 6") as caught:
        choose(run, 6)
    assert caught.value.exit_code == 5


def test_best_has_the_lowest_held_out_loss_of_the_checkpoints_there_are(tmp_path: Path) -> None:
    run = run_with(tmp_path, 4, 8, 12)
    write_losses(run, {2: 0.5, 4: 1.5, 8: 1.2, 12: 1.3})
    assert choose(run, "best").path.name == "step-00000008"
    (run.checkpoints_dir / "step-00000008" / "model").write_bytes(b"wEights")  # damaged: the next best
    found = choose(run, "best")
    assert found.path.name == "step-00000012"
    assert found.passed_over.endswith(
        "step-00000008 is damaged (model was altered (SHA-256 differs)); step-00000012 is used"
    )
    (run.checkpoints_dir / "step-00000008" / "model").unlink()  # found by the sizes alone
    assert "step-00000008 is damaged (model cannot be read" in choose(run, "best").passed_over


def test_best_prefers_the_later_of_equals_and_leaves_out_what_is_no_number(tmp_path: Path) -> None:
    run = run_with(tmp_path, 4, 8, 12)
    write_losses(run, {4: 1.5, 8: 1.5, 12: float("nan")})
    assert choose(run, "best").path.name == "step-00000008"


def test_best_reads_the_curve_as_it_stands_after_a_resume(tmp_path: Path) -> None:
    run = run_with(tmp_path, 4, 8)
    write_losses(run, {4: 1.5, 8: 1.0})
    write_losses(run, {8: 2.0}, attempt=2)
    assert held_out_losses(run) == {4: 1.5, 8: 2.0}
    assert choose(run, "best").path.name == "step-00000004"


def test_best_without_evaluations_or_checkpoints_is_refused_in_one_line(tmp_path: Path) -> None:
    run = run_with(tmp_path)
    with pytest.raises(CheckpointError, match="has no checkpoint"):
        choose(run, "best")
    run = run_with(tmp_path / "other", 4)
    write_losses(run, {6: 1.0})
    with pytest.raises(CheckpointError, match="held-out loss"):
        choose(run, "best")


def test_a_run_whose_checkpoints_are_all_damaged_says_which_and_why(tmp_path: Path) -> None:
    run = run_with(tmp_path, 4, 60)
    (run.checkpoints_dir / "step-00000004" / "model").unlink()
    (run.checkpoints_dir / "step-00000060" / "model").write_bytes(b"weig")
    for step in ("latest", "best"):
        with pytest.raises(CheckpointError, match=r"step 60 is damaged \(model has 4 bytes instead of 7\)") as caught:
            choose(run, step)
        assert "so are 1 before it" in str(caught.value) and "has no checkpoint" not in str(caught.value)
    (run.checkpoints_dir / "step-00000060" / "model").write_bytes(b"wEights")
    write_losses(run, {60: 1.0})
    with pytest.raises(CheckpointError, match=r"step 60 is damaged \(model was altered"):
        choose(run, "best")


def test_what_was_passed_over_is_said_and_what_a_trainer_removed_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_with(tmp_path, 4, 8, 12, 16)
    assert choose(run).passed_over == choose(run, 8).passed_over == ""
    (run.checkpoints_dir / "step-00000016" / "model").write_bytes(b"wEights")
    (run.checkpoints_dir / "step-00000012" / "manifest.json").write_bytes(b"{")
    found = choose(run)
    assert (found.path.name, found.passed_over) == (
        "step-00000008",
        f"{run.name}: step-00000016 is damaged (model was altered (SHA-256 differs)) and 1 more cannot be used; "
        "step-00000008 is used",
    )
    with pytest.raises(CheckpointError, match=r"checkpoint of step 16 is damaged \(model was altered") as caught:
        choose(run, 16)
    assert "nanoconsole checkpoints" in caught.value.fix
    (run.checkpoints_dir / "step-00000012" / "manifest.json").write_text('{"schema": 99, "files": []}')
    shutil.rmtree(run.checkpoints_dir / "step-00000016")
    assert "step-00000012 cannot be used (manifest.json was written by a newer version" in choose(run).passed_over
    gone = manifest.step_folder(run.checkpoints_dir, 20)  # listed, and removed before it is read
    monkeypatch.setattr(manifest, "folders", lambda home: [manifest.step_folder(home, 8), gone])
    assert choose(run).passed_over == ""


@pytest.mark.parametrize("text", ["", "-1", "1.5", "lates", "٣", "1" * 16])
def test_what_is_no_step_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_step(text)


def test_steps_are_read() -> None:
    assert [parse_step(text) for text in ("latest", "best", "0", "400")] == ["latest", "best", 0, 400]


def test_choosing_needs_no_torch() -> None:
    program = "import sys, nanocore.checkpoint.choose, nanocore.infer.locate; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
