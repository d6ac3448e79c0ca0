"""Opening an engine: how many threads it takes, and when tokens leave a loop."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

import nanocore
from nanocore.errors import UsageError
from nanocore.infer import open as opening
from tests.saved import saved_run


@pytest.fixture(autouse=True)
def three_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    monkeypatch.setattr("nanocore.runs.processors.cgroup_quota", lambda: 1_000_000)


def test_as_many_threads_as_processors_are_taken_as_asked() -> None:
    assert [opening.allowed_threads(count) for count in (1, 2, 3)] == [1, 2, 3]
    assert 1 <= opening.allowed_threads(0) <= 3


@pytest.mark.parametrize("threads", [4, 1024, -1])
def test_more_threads_than_processors_are_refused_with_their_number(threads: int) -> None:
    with pytest.raises(UsageError, match=f"threads {threads} is not between 0 and 3, the processors") as caught:
        opening.allowed_threads(threads)
    assert "\n" not in str(caught.value)


def test_a_quota_counts_as_fewer_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanocore.runs.processors.cgroup_quota", lambda: 2)
    with pytest.raises(UsageError, match="between 0 and 2"):
        opening.allowed_threads(3)


def test_threads_are_a_number() -> None:
    count: Any = "all"
    with pytest.raises(UsageError, match="threads is a str, not a whole number"):
        opening.allowed_threads(count)


def logits(path: Path, threshold: float | None = None) -> torch.Tensor:
    return nanocore.load(path, threads=1, exit_threshold=threshold).logits("some text")


def test_tokens_leave_a_loop_at_another_threshold_than_the_trained_one(tmp_path: Path) -> None:
    """An untrained gate has even odds, so at 0.5 every token leaves after the first of two turns."""
    every = saved_run(tmp_path, "loop.count=2", name="every").path
    first = saved_run(tmp_path, "loop.count=2", "loop.exit_threshold=0.5", name="first").path
    assert not torch.equal(logits(every), logits(first))
    assert torch.equal(logits(every, 0.5), logits(first)) and torch.equal(logits(first, 1.0), logits(every))
    assert nanocore.load(every, threads=1, exit_threshold=0.5).config.loop.exit_threshold == 0.5


@pytest.mark.parametrize(
    ("sets", "threshold", "told"),
    [
        ([], 0.5, "exit threshold: this model has no loop to leave; leave it out"),
        (["loop.count=2"], 1.5, "exit threshold: loop.exit_threshold: must be a number from 0 to 1, found 1.5"),
        (["loop.count=2", "delta.pattern=D"], 0.5, "exit threshold: .*cannot leave a loop with DeltaNet layers early"),
    ],
)
def test_a_model_whose_tokens_cannot_leave_is_refused(
    tmp_path: Path, sets: list[str], threshold: float, told: str
) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        logits(saved_run(tmp_path, *sets).path, threshold)
    assert "\n" not in str(caught.value)
