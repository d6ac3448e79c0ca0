"""Alerts of runs that ended: which ends are bad ones, and where to read on."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanoconsole.services.alert_rules import RULES
from nanocore.runs.liveness import acquire
from tests import alert_scenes
from tests.alert_scenes import Scene, alerts, names

scene = alert_scenes.scene


@pytest.mark.parametrize(
    ("state", "fields", "section"),
    [
        ("crashed", {"message": "out of memory: 3 GiB wanted", "exit_code": 6}, "out-of-memory"),
        (
            "crashed",
            {"message": "3 checkpoints in a row could not be saved; free some space", "exit_code": 6},
            "disk-full",
        ),
        ("crashed", {"message": "killed by SIGKILL, perhaps because memory ran out"}, "out-of-memory"),
        ("crashed", {"message": "RuntimeError: \x1b]0;x\x07 no", "exit_code": 1}, "crashed"),
        ("diverged", {"message": "non-finite loss", "exit_code": 4}, "nan-divergence"),
    ],
)
def test_a_bad_end_is_raised_with_the_section_that_helps(
    scene: Scene, state: str, fields: dict[str, object], section: str
) -> None:
    guard = scene.guard()
    scene.train(3, **{"mhc/composite_gain": 5.0})
    scene.look(guard)
    scene.end(state, **fields)
    assert names(guard.look({})) == ["ended"]
    ended, gain = sorted(alerts(scene.root), key=lambda alert: alert.rule)
    assert (ended.rule, ended.section, ended.open) == ("ended", section, True)
    assert not gain.open  # what depends on a run that works is over with it
    assert "\x1b" not in ended.detail
    assert guard.look({}) is None


def test_a_run_that_ended_before_the_console_came_raises_nothing(scene: Scene) -> None:
    scene.train(3)
    scene.end("crashed", message="long ago")
    assert names(scene.guard().look({})) == []


def test_an_ended_run_that_is_packed_or_repaired_raises_nothing(scene: Scene) -> None:
    scene.train(3)
    scene.set_status("crashed", message="long ago")  # and something holds it
    guard = scene.guard()
    for scene.now in (0.0, 100.0, 1000.0):
        assert scene.look(guard) == []
    scene.lock.release()
    assert names(guard.look({})) == []


def test_a_resumed_run_ends_the_alert_of_its_bad_end(scene: Scene) -> None:
    guard = scene.guard()
    scene.train(3)
    scene.look(guard)
    scene.end("crashed", message="lost")
    guard.look({})
    scene.lock = acquire(scene.run)
    scene.set_status(attempt=2)
    scene.look(guard)
    assert not alerts(scene.root)[0].open


def test_every_section_that_an_alert_names_is_in_the_page() -> None:
    page = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
    titles = [line[3:] for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("## ")]
    anchors = {
        "".join(sign for sign in title.lower().replace(" ", "-") if sign.isalnum() or sign == "-") for title in titles
    }
    assert {rule.section for rule in RULES} | {"crashed", "disk-full", "nan-divergence", "out-of-memory"} <= anchors
