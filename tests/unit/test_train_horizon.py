"""The horizon: steps, tokens, or time."""

from __future__ import annotations

import pytest

from nanocore.config.schema import Config
from nanocore.train.horizon import Horizon
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
