"""A stall is judged by the reader's own clock, by progress and phase."""

from __future__ import annotations

import msgspec
import pytest

from nanocore.runs.stall import DEFAULT_LIMIT, FIRST_STEP_LIMIT, PHASE_LIMITS, StallWatch
from nanocore.runs.status import Status


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _training(clock: Clock) -> tuple[StallWatch, Status]:
    """A watch that has seen one step made."""
    watch, status = StallWatch(clock), Status(state="running", phase="training", progress=1)
    watch.see(status)
    status = msgspec.structs.replace(status, progress=2)
    watch.see(status)
    return watch, status


def test_no_progress_beyond_the_limit_is_a_stall_and_progress_ends_it() -> None:
    clock = Clock()
    watch, status = _training(clock)
    clock.now += PHASE_LIMITS["training"] - 1
    assert watch.see(status) is None
    clock.now += 2
    stall = watch.see(status)
    assert stall is not None
    assert stall.text == "stalled: does not react for 121 s (training)"
    assert watch.see(msgspec.structs.replace(status, progress=3)) is None


def test_a_beating_heart_tells_slow_from_frozen() -> None:
    clock = Clock()
    watch, status = _training(clock)
    for beat in range(1, 130):
        clock.now += 1
        watch.see(msgspec.structs.replace(status, alive=beat))
    beating = watch.see(msgspec.structs.replace(status, alive=130))
    assert beating is not None
    assert not beating.frozen
    assert "makes no progress" in beating.text
    clock.now += 40
    frozen = watch.see(msgspec.structs.replace(status, alive=130))
    assert frozen is not None
    assert frozen.frozen


@pytest.mark.parametrize(
    ("phase", "limit"),
    [("preparing", PHASE_LIMITS["preparing"]), ("training", FIRST_STEP_LIMIT), ("new", DEFAULT_LIMIT)],
)
def test_phases_have_limits_of_their_own_and_the_first_step_may_compile(phase: str, limit: float) -> None:
    clock = Clock()
    watch, status = StallWatch(clock), Status(state="running", phase=phase)
    watch.see(status)
    clock.now += limit - 1
    assert watch.see(status) is None
    clock.now += 2
    assert watch.see(status) is not None


def test_a_paused_run_never_stalls() -> None:
    clock = Clock()
    watch, status = StallWatch(clock), Status(state="paused", phase="training")
    watch.see(status)
    clock.now += 1e6
    assert watch.see(status) is None


def test_slow_steps_teach_patience() -> None:
    clock = Clock()
    watch, status = StallWatch(clock), Status(state="running", phase="training", progress=1)
    watch.see(status)
    clock.now += 100
    watch.see(msgspec.structs.replace(status, progress=2))
    clock.now += 450
    assert watch.see(msgspec.structs.replace(status, progress=2)) is None
    clock.now += 100
    assert watch.see(msgspec.structs.replace(status, progress=2)) is not None


def test_the_trainers_wall_clock_is_not_asked() -> None:
    clock = Clock()
    watch, status = StallWatch(clock), Status(state="running", phase="training", updated=1e9)
    watch.see(status)
    clock.now += 1
    assert watch.see(msgspec.structs.replace(status, updated=0.0)) is None
