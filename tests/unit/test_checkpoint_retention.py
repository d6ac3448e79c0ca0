"""Which checkpoints a policy keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanocore.checkpoint.choose import best_steps, held_out_losses
from nanocore.checkpoint.manifest import available, step_of
from nanocore.checkpoint.retention import retain_by
from nanocore.config.sections import Checkpointing
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import RecordWriter
from tests.run_helpers import make_run
from tests.saved import write_losses
from tests.tui.checkpoint_scenes import save

LOSSES = {10: 3.0, 20: 1.0, 30: 2.0, 40: 1.5}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = make_run(tmp_path)
    save(run, 10, 20, 30, 40, 50)
    write_losses(run, LOSSES)
    return run


def kept(run: RunFolder, **policy: int) -> list[int]:
    retain_by(run, Checkpointing(**policy))
    return [step_of(path) for path in available(run.checkpoints_dir)]


def test_the_best_by_held_out_loss_stays_beside_the_newest(run: RunFolder) -> None:
    assert kept(run, keep_last=1, keep_best=2) == [20, 40, 50]
    assert kept(run, keep_last=1) == [20, 50]  # one of the best, unless told
    assert kept(run, keep_last=1, keep_best=0) == [50]


def test_those_of_every_so_many_steps_stay_too(run: RunFolder) -> None:
    assert kept(run, keep_last=1, keep_best=0, keep_every=30) == [30, 50]


def test_without_evaluations_the_newest_stay(tmp_path: Path) -> None:
    run = make_run(tmp_path, "blind")
    save(run, 1, 2, 3)
    assert kept(run, keep_last=2) == [2, 3]


def test_a_later_attempt_replaces_the_losses_of_the_steps_it_made_again(run: RunFolder) -> None:
    writer = RecordWriter(run.metrics_file)
    for step in range(15, 45):
        writer.write({"step": step, "attempt": 2, "loss/ce": 9.0, **({"eval/ce": 2.5} if step == 30 else {})})
    writer.close()
    assert held_out_losses(run) == {10: 3.0, 30: 2.5}
    assert best_steps(run, 5) == [30, 10]
