"""Shared by the integration tests: a run for the fake trainer."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import observe
from tests.run_helpers import make_run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunFolder]:
    """A new run in which the fake trainer makes a step every 2 ms; a test that fails leaves no process behind."""
    monkeypatch.setenv("FAKE_STEP_SECONDS", "0.002")
    made = make_run(tmp_path)
    yield made
    state = observe(made)
    if state.alive:
        os.kill(state.pid, signal.SIGKILL)
