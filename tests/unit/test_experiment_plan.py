"""What `compare` says before it trains: how many runs of each kind, and how long where that is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanoconsole.services import experiment_plan
from nanoconsole.services.cost import Timing, _hardware
from nanoconsole.services.experiment_plan import notes, told
from nanocore.compare.experiment import plan
from nanocore.config.estimate import estimate
from tests.compared import SPEC

ALL = [item.name for item in plan(SPEC)]


def test_runs_are_counted_by_kind(tmp_path: Path) -> None:
    assert told(SPEC, tmp_path, ALL, 2) == "12 runs at equal steps, 2 calibrations, 6 runs at equal time"
    spared = SPEC.model_copy(update={"time_tolerance": 0.05})
    assert told(spared, tmp_path, ALL, 2).endswith(", up to 6 runs at equal time")
    alone = spared.model_copy(update={"equal": ["time"]})  # no run of the same steps could stand for one
    assert told(alone, tmp_path, ALL, 2).endswith(", 6 runs at equal time")
    assert told(SPEC, tmp_path, ["known-mtp-s1"], 2) == "1 run at equal steps"
    assert told(SPEC, tmp_path, [], 2) == "nothing is left to train"


def test_the_length_is_that_of_runs_like_them_by_the_slots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of 8 steps takes 600 s: four of them 2400 s, on two slots half of it; a calibration trains 12 x 6 steps, alone."""
    spec = SPEC.model_copy(update={"variants": {"smooth": SPEC.variants["smooth"]}, "seeds": [1]})
    config = plan(spec)[-1].config
    figures = estimate(config)
    speed = figures.tokens * figures.flops_per_token / 600.0
    monkeypatch.setattr(
        experiment_plan, "read_timings", lambda _: [Timing("r", figures.flops_per_token, speed, _hardware(config))]
    )
    names = [item.name for item in plan(spec)]
    assert "; about 2h 10m, by the speed of runs like them" in told(spec, tmp_path, names, 1)
    assert "; about 1h 50m, by the speed of runs like them" in told(spec, tmp_path, names, 2)


def test_what_a_variant_never_comes_to_is_told_before_it_is_trained() -> None:
    late = SPEC.variants["mtp"].model_copy(update={"sets": ["collider.mode=head", f"collider.start_step={SPEC.steps}"]})
    spec = SPEC.model_copy(update={"variants": {**SPEC.variants, "late": late}, "equal": ["steps"]})
    (note,) = notes(spec)
    fire = SPEC.variants["mtp"].model_copy(update={"sets": [f"fire.at_step={SPEC.steps}"]})  # also at equal time alone
    timed = SPEC.model_copy(update={"variants": {"fire": fire}, "equal": ["time"]})
    assert any(line.startswith("variant fire: fire.at_step:") for line in notes(timed))
    assert note.startswith("variant late: collider.start_step:") and "no token is ever filtered" in note
