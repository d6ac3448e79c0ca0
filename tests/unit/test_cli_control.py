"""FIRE from the command line: it reaches a run at work, and nothing else."""

from __future__ import annotations

import pytest

from nanoconsole.cli import control
from tests import command_line
from tests.command_line import Nano
from tests.tui.scenes import at_work, lay

nano = command_line.nano


def test_fire_is_left_for_the_trainer_of_a_run_at_work(nano: Nano, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "ANSWER_SECONDS", 0.0)
    run = lay(nano.root, "busy", state="running", steps=5)
    with at_work(run):
        asked = nano("fire", "busy", "--json")
    assert asked.data == {"run": "busy", "command": "fire", "acknowledged": False, "step": None}
    assert [path.name for path in run.control_dir.iterdir()] == ["fire"]


def test_fire_is_refused_when_nothing_trains_the_run(nano: Nano) -> None:
    run = lay(nano.root, "done", steps=5)
    refused = nano("fire", "done")
    assert refused.code == 2 and "not running" in refused.err
    assert list(run.control_dir.iterdir()) == []
