"""Opening an engine: how many threads it takes."""

from __future__ import annotations

import os
from typing import Any

import pytest

from nanocore.errors import UsageError
from nanocore.infer import open as opening


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
