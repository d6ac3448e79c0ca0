"""Alerts of whole runs: when one is raised, and when it is over."""

from __future__ import annotations

import os

import pytest

from nanoconsole.services.run_checks import RunChecks
from nanoconsole.services.settings import Settings
from tests import alert_scenes
from tests.alert_scenes import GIB, Scene, alerts

scene = alert_scenes.scene


def test_a_spike_is_raised_once_recorded_and_over_when_it_is_calm(scene: Scene) -> None:
    guard = scene.guard()
    scene.train(40)
    assert scene.look(guard) == []
    scene.train(1, **{"loss/ce": 9.0})
    assert scene.look(guard) == ["loss_spike"]
    assert scene.look(guard) == []
    (alert,) = alerts(scene.root)
    assert (alert.run, alert.step, alert.open, alert.high) == (scene.run, 41, True, 6.0)
    assert alert.link == "docs/troubleshooting.md#nan-divergence"
    scene.train(10)
    scene.look(guard)
    assert not alerts(scene.root)[0].open


def test_what_happened_before_the_console_came_raises_no_storm(scene: Scene) -> None:
    for _ in range(5):
        scene.train(30)
        scene.train(1, **{"loss/ce": 9.0, "training/grad_norm": 500.0})
    scene.train(30)
    assert scene.look(scene.guard()) == []


def test_a_state_that_lasts_is_raised_even_when_it_began_before(scene: Scene) -> None:
    scene.train(10, **{"mhc/composite_gain": 5.0})
    guard = scene.guard()
    assert scene.look(guard) == ["mhc_gain"]
    guard.close()
    assert scene.look(scene.guard()) == []  # the next console knows it from the records
    assert len(alerts(scene.root)) == 1


def test_what_was_over_and_began_again_while_nobody_looked_is_the_same_alert(scene: Scene) -> None:
    scene.train(10, **{"mhc/composite_gain": 5.0})
    guard = scene.guard()
    scene.look(guard)
    guard.close()
    scene.train(10, **{"mhc/composite_gain": 1.0})
    scene.train(1, **{"mhc/composite_gain": 5.0})
    again = scene.guard()
    assert scene.look(again) == []
    scene.train(10, **{"mhc/composite_gain": 1.0})
    scene.look(again)
    assert [alert.open for alert in alerts(scene.root)] == [False]


def test_what_ended_while_nobody_looked_is_over(scene: Scene) -> None:
    scene.train(10, **{"mhc/composite_gain": 5.0})
    guard = scene.guard()
    scene.look(guard)
    guard.close()
    scene.train(10, **{"mhc/composite_gain": 1.0})
    scene.look(scene.guard())
    assert not alerts(scene.root)[0].open
    scene.lock.release()


def test_a_full_disk_is_raised_at_its_limit_and_is_over_well_above_it(scene: Scene) -> None:
    guard = scene.guard(**{"alerts.disk.below": 3.0})
    scene.train(1)
    assert scene.look(guard) == []
    scene.free = 2.9 * GIB
    assert scene.look(guard) == ["disk"]
    scene.free = 3.1 * GIB
    for _ in range(10):
        assert scene.look(guard) == []
    assert alerts(scene.root)[0].open
    scene.free = 4 * GIB
    for _ in range(5):
        scene.look(guard)
    assert not alerts(scene.root)[0].open


def test_a_heart_that_stands_still_is_raised_by_our_own_clock(scene: Scene) -> None:
    guard = scene.guard()
    scene.train(3)
    scene.look(guard)
    scene.now = 29.0
    assert scene.look(guard) == []
    scene.now = 31.0
    assert scene.look(guard) == ["heartbeat"]
    for _ in range(6):
        scene.train(1)
        scene.look(guard)
    assert not alerts(scene.root)[0].open


def test_a_trainer_that_lives_and_gets_on_no_more_is_stalled(scene: Scene) -> None:
    guard = scene.guard()
    for _ in range(3):
        scene.train(1)
        scene.look(guard)
    found: list[str] = []
    for second in range(0, 400, 10):
        scene.now = 1000.0 + second
        scene.beat += 1
        scene.set_status(phase="saving\x1b[31m$(reboot)")
        found += scene.look(guard)
    assert found == ["heartbeat"]
    assert alerts(scene.root)[0].text.startswith("no progress for ")
    assert "reboot" not in alerts(scene.root)[0].text


def test_a_rule_that_is_off_and_one_with_another_range(scene: Scene) -> None:
    guard = scene.guard(**{"alerts.loss_spike.enabled": False, "alerts.gradient_spike.above": 200.0})
    scene.train(40)
    scene.look(guard)
    scene.train(1, **{"loss/ce": 9.0, "training/grad_norm": 99.0})
    assert scene.look(guard) == []


def test_a_whole_run_is_judged_afterwards(scene: Scene) -> None:
    scene.train(40)
    scene.train(1, **{"loss/ce": 9.0})
    scene.train(40)
    scene.train(1, **{"loss/ce": 9.0})
    changes = RunChecks(scene.run, Settings(), whole=True).look(40 * GIB)
    assert [(change.step, change.rule) for change in changes if change.raised] == [
        (41, "loss_spike"),
        (82, "loss_spike"),
    ]


def test_only_the_end_of_a_long_record_is_read(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(20):
        scene.train(500, **{"mhc/composite_gain": 1.0})
    read: list[int] = []
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, size, place: read.append(len(found := real(fd, size, place))) or found)
    scene.look(scene.guard())
    assert scene.run.metrics_file.stat().st_size > 900_000
    assert sum(read) < 300_000
