"""Which checkpoint a step, `latest` or `best` means."""

from __future__ import annotations

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
        manifest.commit(lambda folder: (folder / "model").write_bytes(b"weights") and None, target, {"step": step})
    return run


def test_latest_is_the_last_and_a_number_is_that_step(tmp_path: Path) -> None:
    run = run_with(tmp_path, 4, 8)
    assert choose(run).name == "step-00000008"
    assert choose(run, 4).name == "step-00000004"
    with pytest.raises(CheckpointError, match="no checkpoint of step 6") as caught:
        choose(run, 6)
    assert caught.value.exit_code == 5


def test_best_has_the_lowest_held_out_loss_of_the_checkpoints_there_are(tmp_path: Path) -> None:
    run = run_with(tmp_path, 4, 8, 12)
    write_losses(run, {2: 0.5, 4: 1.5, 8: 1.2, 12: 1.3})
    assert choose(run, "best").name == "step-00000008"
    (run.checkpoints_dir / "step-00000008" / "model").write_bytes(b"wEights")  # damaged: the next best
    assert choose(run, "best").name == "step-00000012"


def test_best_prefers_the_later_of_equals_and_leaves_out_what_is_no_number(tmp_path: Path) -> None:
    run = run_with(tmp_path, 4, 8, 12)
    write_losses(run, {4: 1.5, 8: 1.5, 12: float("nan")})
    assert choose(run, "best").name == "step-00000008"


def test_best_reads_the_curve_as_it_stands_after_a_resume(tmp_path: Path) -> None:
    run = run_with(tmp_path, 4, 8)
    write_losses(run, {4: 1.5, 8: 1.0})
    write_losses(run, {8: 2.0}, attempt=2)
    assert held_out_losses(run) == {4: 1.5, 8: 2.0}
    assert choose(run, "best").name == "step-00000004"


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
