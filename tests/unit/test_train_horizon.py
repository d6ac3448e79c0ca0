"""The horizon: steps, tokens, or time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from nanocore.config.schema import Config
from nanocore.errors import UsageError
from nanocore.train.horizon import Horizon, planned_steps, refuse_if_done
from nanocore.train.loop import plan
from nanocore.train.progress import Progress
from tests.tiny import tiny_config


def config(*sets: str) -> Config:
    return tiny_config(*sets)


def test_steps_are_taken_as_they_are() -> None:
    assert Horizon(config("training.steps=77")).steps == 77


def test_tokens_round_up_to_whole_steps() -> None:
    # 4 sequences of 32 tokens are 128 tokens a step
    assert Horizon(config("training.steps=0", "training.tokens=1000")).steps == 8


def test_time_is_unknown_until_measured_and_then_fits() -> None:
    horizon = Horizon(config("training.steps=0", "training.duration=10m"))
    assert not horizon.known
    horizon.replan(100, 30.0, 0.3)  # half a minute: too early to tell
    assert not horizon.known
    horizon.replan(200, 60.0, 0.3)
    assert horizon.known
    assert (horizon.steps - 200) * 0.3 + 60.0 <= 600.0
    assert (horizon.steps - 200) * 0.3 + 60.0 > 570.0


def test_a_horizon_may_only_shrink_once_the_decay_began() -> None:
    horizon = Horizon(config("training.steps=0", "training.duration=10m", "schedule.decay_fraction=0.5"))
    horizon.replan(200, 60.0, 0.3)
    planned = horizon.steps
    decaying = int(planned * 0.6)
    horizon.replan(decaying, decaying * 0.3, 0.1)  # faster now: would allow many more steps
    assert horizon.steps == planned
    horizon.replan(decaying, decaying * 0.3, 0.6)  # slower: must end earlier
    assert horizon.steps < planned


@pytest.mark.parametrize("planned", [500, 1234])
def test_a_resumed_run_keeps_its_plan(planned: int) -> None:
    assert Horizon(config("training.steps=0", "training.duration=10m"), planned).steps == planned


def test_another_length_of_time_makes_another_plan() -> None:
    two_hours = config("training.steps=0", "training.duration=2h")
    assert planned_steps(two_hours, Progress(horizon=77, duration="2h")) == 77
    assert planned_steps(two_hours, Progress(horizon=77, duration="1h")) is None


@pytest.mark.parametrize(
    ("sets", "advice"),
    [
        (("training.steps=20",), "give more than 20 steps: --set training.steps=N"),
        (("training.steps=0", "training.tokens=2500"), "give more than 2560 tokens: --set training.tokens=N"),
        (("training.steps=0", "training.duration=1h"), "give more than 4000s: --set training.duration=TIME"),
        (("training.steps=0", "training.duration=2h"), "give more than 4000s: --set training.duration=TIME"),
    ],
    ids=["steps", "tokens", "less time", "the same time"],
)
def test_a_length_that_is_used_up_is_refused(sets: tuple[str, ...], advice: str) -> None:
    progress = Progress(step=20, elapsed=4000.0, horizon=20, duration="2h")
    with pytest.raises(UsageError) as caught:
        refuse_if_done(config(*sets), progress, where="run")
    assert str(caught.value) == f"run: step 20 is already done; {advice}"


@pytest.mark.parametrize("more", ["steps=21", "tokens=2561", "duration=3h"])
def test_a_longer_length_is_taken(more: str) -> None:
    progress = Progress(step=20, elapsed=4000.0, horizon=20, duration="2h")
    refuse_if_done(config("training.steps=0", f"training.{more}"), progress, where="run")


def told(*sets: str, planned: int | None = None) -> list[str]:
    """The warnings of a run of ten minutes at 1 s a step, whose plan is made after two of them and every ten steps."""
    timed = config("training.steps=0", "training.duration=10m", *sets)
    said: list[str] = []
    progress = Progress(step=120, elapsed=120.0)
    parts = {"config": timed, "progress": progress, "reporter": SimpleNamespace(warn=said.append)}
    job: Any = SimpleNamespace(horizon=Horizon(timed, planned), **parts)
    for progress.step in (120, 130, 140):
        progress.elapsed = float(progress.step)
        plan(job)
    assert 500 < job.horizon.steps < 600
    return said


def test_settings_behind_the_end_are_told_once_when_a_run_of_a_duration_is_first_planned() -> None:
    (line,) = told("collider.mode=head", "collider.start_step=8000")
    said = "by the first plan of its time: collider.start_step: 8000 is not before the end of 582 steps, so no token"
    assert line.startswith(said)
    (line,) = told("schedule.warmup_steps=8000")
    assert "the rate rises to the last one" in line


def test_nothing_is_told_of_settings_in_time_nor_again_after_a_resume() -> None:
    assert told("collider.mode=head", "collider.start_step=400", "fire.at_step=500") == []
    assert told("collider.mode=head", "collider.start_step=8000", planned=570) == []
