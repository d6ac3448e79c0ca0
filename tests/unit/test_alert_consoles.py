"""Alerts and the consoles that watch: which of them acts, and what the next one knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanoconsole.services.alert_log import AlertLog
from nanoconsole.services.alerts import acknowledge, mute
from tests import alert_scenes
from tests.alert_scenes import CREATED, Scene, alerts, names

scene = alert_scenes.scene


def test_of_two_consoles_one_raises_and_acts_and_both_tell(scene: Scene) -> None:
    first, second = scene.guard(), scene.guard()
    scene.train(40)
    assert (scene.look(first), scene.look(second)) == ([], [])
    scene.train(1, **{"loss/ce": 9.0})
    assert scene.look(second) == []  # the other one has not looked yet
    assert scene.look(first) == ["loss_spike"]
    assert scene.look(second) == ["loss_spike"]
    assert len(alerts(scene.root)) == 1
    first.close()
    scene.train(20)
    scene.look(second)
    scene.train(1, **{"loss/ce": 9.0})
    assert scene.look(second) == ["loss_spike"]  # it took over


def test_a_muted_rule_says_nothing_of_its_run_until_it_may_again(scene: Scene) -> None:
    guard = scene.guard()
    scene.train(40)
    scene.look(guard)
    mute(scene.run, "loss_spike", muted=True)
    scene.train(1, **{"loss/ce": 9.0, "training/grad_norm": 99.0})
    assert scene.look(guard) == ["gradient_spike"]
    mute(scene.run, "loss_spike", muted=False)
    scene.train(20)
    scene.look(guard)
    scene.train(1, **{"loss/ce": 9.0})
    assert scene.look(guard) == ["loss_spike"]


def test_a_new_run_of_an_old_name_inherits_no_alert(scene: Scene) -> None:
    scene.train(10, **{"mhc/composite_gain": 5.0})
    guard = scene.guard()
    guard.look({scene.run: CREATED})
    assert AlertLog(scene.root).read().of(scene.run, CREATED + 1) == ()
    assert names(guard.look({scene.run: CREATED + 1})) == ["mhc_gain"]


def test_two_runs_of_one_name_have_alerts_of_their_own_also_at_one_moment(scene: Scene) -> None:
    scene.train(10, **{"mhc/composite_gain": 5.0})
    guard = scene.guard()
    guard._clock = lambda: CREATED + 100.0
    assert [names(guard.look({scene.run: CREATED + later})) for later in (0, 1)] == [["mhc_gain"], ["mhc_gain"]]


def test_what_is_acknowledged_stays_so_in_the_next_console(scene: Scene) -> None:
    scene.train(10, **{"mhc/composite_gain": 5.0})
    scene.look(scene.guard())
    acknowledge(alerts(scene.root))
    assert alerts(scene.root)[0].acknowledged
    assert AlertLog(scene.root).read().new == ()


def test_a_root_that_cannot_be_written_is_watched_all_the_same(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    guard = scene.guard()
    scene.train(1, **{"mhc/composite_gain": 5.0})
    look = guard.look({scene.run: CREATED})
    assert names(look) == ["mhc_gain"]
    assert look is not None
    assert "cannot be recorded: Permission denied" in look.alerts.problem
