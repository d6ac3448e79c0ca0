"""What alerts do: ask something of the trainer, or start the user's own command."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import alert_scenes
from tests.alert_scenes import Scene

scene = alert_scenes.scene


def test_pause_and_checkpoint_are_asked_of_the_trainer(scene: Scene) -> None:
    guard = scene.guard(**{"alerts.mhc_gain.actions": ("pause", "checkpoint")})
    scene.train(1, **{"mhc/composite_gain": 5.0})
    scene.look(guard)
    assert sorted(path.name for path in scene.run.control_dir.iterdir()) == ["checkpoint", "pause"]


def test_an_action_that_is_not_possible_is_told(scene: Scene) -> None:
    guard = scene.guard(**{"alerts.ended.actions": ("checkpoint", "command")})
    scene.train(1)
    scene.look(guard)
    scene.end("crashed", message="gone")
    guard.look({})
    assert len(scene.told) == 2
    assert "checkpoint was not possible" in scene.told[0]
    assert "alerts.command is empty" in scene.told[1]


def wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_command_gets_whole_arguments_and_no_shell(scene: Scene, tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = tmp_path / "tell.sh"
    script.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$0.tmp"; mv "$0.tmp" "' + str(out) + '"\n')
    script.chmod(0o755)
    command = (str(script), "{run} $(reboot)", "{rule}", "{step}", "{text}", "{unknown}")
    guard = scene.guard(**{"alerts.mhc_gain.actions": ("command",), "alerts.command": command})
    scene.train(1, **{"mhc/composite_gain": 5.0})
    scene.look(guard)
    wait_until(out.exists)
    assert out.read_text().splitlines() == [
        "busy $(reboot)", "mhc_gain", "1", "mhc/composite_gain is 5.000", "{unknown}",
    ]  # fmt: skip
    assert scene.told == []


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("/no/such/program",), "cannot be started: No such file or directory"),
        (("a\x00b",), "cannot be started"),
        (("/bin/sh", "-c", "exit 3"), "ended with exit code 3"),
        (("/bin/sh", "-c", "sleep 60 & wait"), "was ended after 0.2 s"),
    ],
)
def test_a_command_that_fails_or_hangs_is_told_and_ended(scene: Scene, command: tuple[str, ...], told: str) -> None:
    values = {"alerts.mhc_gain.actions": ("command",), "alerts.command": command, "alerts.command_seconds": 0.2}
    guard = scene.guard(**values)
    scene.train(1, **{"mhc/composite_gain": 5.0})
    scene.look(guard)
    wait_until(lambda: bool(scene.told))
    assert told in scene.told[0]
    assert "\x00" not in scene.told[0]
