"""How long an experiment's runs are where that is said in seconds: a step's time is measured on the machine at hand."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import pytest

from nanocore.compare import length
from nanocore.compare.spec import Spec, read
from nanocore.config.toml import load, save
from nanocore.errors import ResourceError
from nanocore.runs import queue
from nanocore.runs.layout import RunFolder
from tests import command_line, queue_helpers
from tests.command_line import Nano
from tests.tiny import tiny_config

nano, root = command_line.nano, queue_helpers.root
E3 = ("bench", "e3", "--only", "mtp", "--seed", "1")


def tiny_spec(folder: Path, sets: str = "") -> Spec:
    save(tiny_config(), folder / "tiny.toml")
    text = f'preset = "tiny.toml"\nsteps = 30\nsets = [{sets}]\n[variants.mtp]\nsets = ["mtp.horizon=1"]\n'
    (folder / "look.toml").write_text(text)
    return read(folder / "look.toml")


def test_steps_follow_from_what_a_step_takes_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(length, "PROBE_SECONDS", 1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    steps, step = length.steps_in(tiny_spec(tmp_path), 60.0, 2)
    assert steps == 10 * math.ceil(6 / step) and 0.0005 < step < 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["look.toml", "tiny.toml"]


def test_a_baseline_that_cannot_be_trained_is_told(tmp_path: Path) -> None:
    spec = tiny_spec(tmp_path, '"hardware.device=cuda:99"')
    with pytest.raises(ResourceError, match=r"the baseline's step could not be timed: .*say how many with --steps"):
        length.steps_in(spec, 60.0, 1)


def test_e3_measures_once_and_keeps_the_steps_of_its_runs(
    nano: Nano, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[float, int]] = []

    def measured(spec: Spec, seconds: float, slots: int) -> tuple[int, float]:
        asked.append((seconds, slots))
        return 1250, 0.2

    monkeypatch.setattr(length, "steps_in", measured)
    monkeypatch.setattr(queue, "wake", lambda *_, **__: False)  # nothing needs to be trained
    assert nano(*E3, "--report-only").code == 0 and not asked
    begun = nano(*E3, "--detach")
    assert (begun.code, asked) == (0, [(250, 2)])
    assert "e3: 200 ms a step, so 1250 steps train 250 s a run" in begun.err
    config = load(RunFolder(root / "e3-baseline-s1").config_file)
    assert (config.training.steps, config.evaluation.every) == (1250, 208)  # a sixth, as in the file
    assert nano(*E3, "--continue", "--detach").code == 0
    assert (nano(*E3, "--detach").code, len(asked)) == (2, 1)  # its runs are there
    refused = nano(*E3, "--steps", "20", "--seconds", "5")
    assert (refused.code, "--seconds and --steps exclude each other" in refused.err) == (2, True)
