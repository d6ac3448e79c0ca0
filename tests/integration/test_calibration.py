"""The real trainer times a variant beside the baseline in one process, and the queue makes steps of the ratio."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nanocore.errors import UsageError
from nanocore.runs.create import create_run, read_run
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import observe
from nanocore.runs.pace import BASELINE_PACE, OWN_PACE, Pace, step_times, steps_at_pace
from nanocore.runs.records import read_all
from nanocore.runs.status import StatusWriter
from tests.tiny import tiny_config, train

ROUNDS = 3


def calibrated(root: Path, sets: list[str], *, rounds: int = ROUNDS) -> RunFolder:
    """A calibration of the tiny model, run to its end."""
    facts = {"name": "e", "variant": "v", "seed": 1, "kind": "calibration", "sets": sets, "rounds": rounds}
    run = create_run(root, tiny_config(), name="c", experiment=facts)
    train(run)
    return run


@pytest.mark.slow
def test_a_longer_variant_takes_more_time_and_gets_fewer_steps(tmp_path: Path) -> None:
    run = calibrated(tmp_path, ["model.n_layers=8"])
    assert observe(run).state == "finished"
    records = read_all(run.metrics_file)
    assert [record["step"] for record in records] == [1, 2, 3]
    assert all(record[BASELINE_PACE] > 0 and record[OWN_PACE] > 0 for record in records)
    times = step_times(run)
    assert times is not None and times.ratio > 1
    assert set(times.parts) == {"forward", "backward", "optimizer"} and times.parts["backward"] > 1
    assert steps_at_pace(tmp_path, Pace(1000, "c")) == round(1000 / times.ratio)
    facts = read_run(run)
    assert 0 < facts["processor_share"] < 2 and facts["load_average"] >= 0
    assert facts["machine"]["cpus"] == len(os.sched_getaffinity(0)) and facts["machine"]["memory_gib"] > 0
    assert not run.checkpoints_dir.exists() or not list(run.checkpoints_dir.iterdir())


def test_its_progress_counts_rounds_and_never_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    write = StatusWriter.update

    def update(writer: StatusWriter, **fields: object) -> None:
        write(writer, **fields)
        if writer.status.state == "running":
            seen.append((writer.status.step, writer.status.steps))

    monkeypatch.setattr(StatusWriter, "update", update)
    calibrated(tmp_path, ["mtp.horizon=1"], rounds=2)
    assert seen == sorted(seen) and set(seen) == {(0, 2), (1, 2), (2, 2)}


def test_overrides_that_make_no_configuration_end_it_with_one_line(tmp_path: Path) -> None:
    run = calibrated(tmp_path, ["model.n_layers=-1"])
    state = observe(run)
    assert state.state == "crashed" and "model.n_layers" in state.text
    with pytest.raises(UsageError, match="the variant's step time is not known"):
        steps_at_pace(tmp_path, Pace(1000, "c"))


def test_a_damaged_calibration_is_refused(tmp_path: Path) -> None:
    run = calibrated(tmp_path, ["mtp.horizon=1"], rounds=0)
    assert "experiment" in observe(run).text and observe(run).state == "crashed"


def test_a_spike_that_is_left_out_ends_no_calibration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanocore.train.loop.admit", lambda *_: False)
    assert observe(calibrated(tmp_path, ["mtp.horizon=1"], rounds=1)).state == "finished"
