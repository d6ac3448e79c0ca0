"""Ctrl-C, kill -9 and the end of the terminal: training outlives the console, and ends only when asked to."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest

from nanocore.runs.hints import to_type
from nanocore.runs.layout import RunFolder, list_runs
from nanocore.runs.liveness import observe
from tests import command_line
from tests.command_line import start_console
from tests.run_helpers import events_of, make_run, start_fake, steps_of, wait_for

no_leftovers = command_line.no_leftovers
pytestmark = pytest.mark.usefixtures("no_leftovers")
STEPS = ("--set", "training.steps=100000", "--set", "logging.console_every=1")


def following(console: subprocess.Popen[str], root: Path, step: str) -> RunFolder:
    """The run a console follows, once it has printed `step`."""
    assert console.stdout is not None
    for line in console.stdout:
        if line.startswith(f"step {step}"):
            return list_runs(root)[0]
    raise AssertionError(console.communicate()[1])


def test_ctrl_c_stops_with_a_checkpoint_and_exits_130(tmp_path: Path) -> None:
    console = start_console(tmp_path, "train", "tiny-cpu", *STEPS, checkpoint_every=1000000)
    run = following(console, tmp_path, "2/")
    console.send_signal(signal.SIGINT)
    _, err = console.communicate(timeout=20)
    assert console.returncode == 130
    assert "with a checkpoint" in err
    assert observe(run).state == "stopped"
    assert events_of(run, "checkpoint")[-1]["step"] == steps_of(run)[-1]


def test_a_second_ctrl_c_ends_the_command_and_the_stop_stays_in_force(tmp_path: Path) -> None:
    console = start_console(tmp_path, "train", "tiny-cpu", *STEPS, deaf=1)
    run = following(console, tmp_path, "2/")
    console.send_signal(signal.SIGINT)
    assert console.stderr is not None
    while "Ctrl-C again" not in (line := console.stderr.readline()):
        assert line
    console.send_signal(signal.SIGINT)
    _, err = console.communicate(timeout=20)
    assert console.returncode == 130
    assert "the stop stays in force" in err and "still runs" not in err
    assert f"nanoconsole --runs {run.path.parent} stop {run.name} --kill" in err
    assert observe(run).alive
    assert (run.control_dir / "stop").exists()


def test_ctrl_c_in_watch_ends_only_the_watching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path)
    start_fake(run, monkeypatch, steps=100000)
    console = start_console(run.path.parent, "watch", run.name)
    following(console, run.path.parent, "")
    console.send_signal(signal.SIGINT)
    _, err = console.communicate(timeout=20)
    assert console.returncode == 0
    assert "goes on" in err
    assert observe(run).state == "running"


def test_the_trainer_outlives_a_console_that_is_killed(tmp_path: Path) -> None:
    console = start_console(tmp_path, "train", "tiny-cpu", *STEPS)
    run = following(console, tmp_path, "2/")
    console.kill()
    console.communicate(timeout=20)
    seen = steps_of(run)[-1]
    wait_for(lambda: steps_of(run)[-1] > seen + 5, "further steps")
    assert observe(run).state == "running"


def test_when_nobody_reads_any_more_it_says_that_the_training_goes_on(tmp_path: Path) -> None:
    console = start_console(tmp_path, "train", "tiny-cpu", *STEPS)
    run = following(console, tmp_path, "2/")
    assert console.stdout is not None and console.stderr is not None
    console.stdout.close()
    said = console.stderr.read().splitlines()
    assert console.wait(timeout=20) == 141
    assert said[-1] == f"{run.name} goes on training; stop it: {to_type(f'--runs {run.path.parent} stop {run.name}')}"
    assert observe(run).alive


def test_on_a_terminal_the_display_redraws_and_leaves_the_cursor_visible(tmp_path: Path) -> None:
    screen, terminal = pty.openpty()
    console = start_console(tmp_path, "train", "tiny-cpu", terminal=terminal, steps=30, step_seconds=0.01)
    os.close(terminal)
    text = b""
    with contextlib.suppress(OSError):  # EIO: the other end is closed
        while piece := os.read(screen, 65536):
            text += piece
    os.close(screen)
    assert console.wait() == 0
    assert b"step 30/30" in text
    assert text.rindex(b"\x1b[?25h") > text.rindex(b"\x1b[?25l")
