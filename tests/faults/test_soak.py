"""A real training run killed at random, again and again, comes out as if nothing had happened (`python -m tests.soak`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak import soak


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_killed_twenty_times_at_random_equals_one_that_never_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path / "cache"))  # put back afterwards: the soak sets its own
    done = soak(tmp_path, kills=20, seed=0)
    assert done.kills >= 20 and done.runs >= 1
