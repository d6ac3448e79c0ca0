"""`device/utilisation` on a CPU: processor time over threads times the clock's, whatever happened since the last record."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from nanocore.train import job
from nanocore.train.job import Job


def test_an_evaluation_between_two_records_counts_in_both_times(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = SimpleNamespace(threads=2)
    one = cast(Job, SimpleNamespace(machine=machine, processor_clock=10.0, share_clock=100.0))
    monkeypatch.setattr(job, "time", SimpleNamespace(process_time=lambda: 22.0, monotonic=lambda: 108.0))
    assert Job.processor_share(one) == 12.0 / (2 * 8.0)
    monkeypatch.setattr(job, "time", SimpleNamespace(process_time=lambda: 23.0, monotonic=lambda: 109.0))
    assert Job.processor_share(one) == 0.5
