"""The program as a new user has it: in a real terminal, with a real trainer, and nothing to read but the screen."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanocore.config import toml
from nanocore.runs.facts import read_facts
from nanocore.runs.layout import RunFolder, list_runs
from nanocore.runs.liveness import observe
from nanocore.runs.steer import force_stop
from tests.run_helpers import steps_of, trained
from tests.tiny import tiny_config
from tests.tui.terminal import Terminal, terminal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
LONG = ("training.steps=100000", "evaluation.every=50", "checkpoint.every=100")


@pytest.fixture
def tour(tmp_path: Path, private_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a configuration that trains at once; what still trains when the test ends is ended."""
    monkeypatch.setenv("TERM", "xterm-256color")
    toml.save(tiny_config(*LONG), tmp_path / "tiny.toml")
    yield tmp_path
    for run in list_runs(tmp_path / "runs"):
        if observe(run).alive:
            force_stop(run, patience=0)


def open_console(screen: Terminal, folder: Path) -> None:
    program = [sys.executable, "-m", "nanoconsole", "--runs", str(folder / "runs")]
    screen.run(["env", "-C", str(folder), *program])


def launched(screen: Terminal, folder: Path) -> RunFolder:
    """Open the file by typing its path, make the run learn faster, launch it."""
    screen.wait("No runs yet", "l Launch")
    screen.press("l")
    screen.wait("▸ tiny-cpu")
    screen.press("o")
    screen.wait("Edit the configuration of")
    screen.type("./tiny.toml")
    screen.press("Enter")
    screen.wait("▸ tiny.toml")
    screen.press("/")
    screen.wait("search: words")
    screen.type("matrix_lr")
    screen.press("Enter")
    screen.wait("matrix_lr", "enter Edit")
    screen.press("Enter")
    screen.wait("enter Done")
    screen.type("0.03")
    screen.press("Enter")
    screen.wait("was 0.02")
    screen.press("C-l")
    screen.wait("● running", "gradient", "? Help")  # where there is room for one chart, only the header has it
    (run,) = list_runs(folder / "runs")
    assert toml.load(run.config_file).optimizer.matrix_lr == 0.03
    return run


def test_train_watch_alert_survive_stop_fork_compare_chat_and_leave(tour: Path) -> None:
    with terminal(tour, (80, 24)) as screen:
        open_console(screen, tour)
        run = launched(screen, tour)
        trained(run, 20)
        watch(screen)
        set_an_alert(screen)
        survive(screen, tour, run)
        stop(screen, run)
        fork(screen, tour)
        compare(screen)
        read(screen)
        chat(screen)
        delete_and_restore(screen)
        screen.press("q")
        assert screen.ended() == "0"


def watch(screen: Terminal) -> None:
    """Charts, inspecting, checkpoint, pause."""
    screen.press("i")
    screen.press("Left", "Escape")
    screen.press("k")
    screen.wait("saves a checkpoint after this step")
    screen.press("p")
    screen.wait("◫ paused", "p Go on")
    screen.press("p")
    screen.wait("● running")


def set_an_alert(screen: Terminal) -> None:
    """A disk is always fuller than a million GiB: set by its name in the palette, told at once, acknowledged."""
    screen.press("C-p")
    screen.wait("Search for commands")
    screen.type("setting alerts.disk.below")
    screen.wait("GiB that must stay free")
    screen.press("Down", "Enter")
    screen.wait("Settings", "alerts.disk.below")
    screen.press("Enter")
    screen.wait("enter Save")
    screen.type("1000000")
    screen.press("Enter")
    screen.wait("1e+06", "enter Change")
    screen.press("Escape")
    screen.wait("▲ ", "? Help")
    screen.press("!")
    screen.wait("disk low", "docs/troubleshooting.md#")
    screen.press("A")
    screen.wait("acknowledged", without="▲ just now")
    screen.press("Escape")
    screen.wait("● running", "? Help")


def survive(screen: Terminal, tour: Path, run: RunFolder) -> None:
    """kill -9 takes the console, and not the training; the next console has the whole of it."""
    os.kill(screen.process(), signal.SIGKILL)
    assert screen.ended() == "signal 9"
    before = steps_of(run)[-1]
    trained(run, 20)
    open_console(screen, tour)
    screen.wait("● running", run.name)
    screen.press("Enter")
    screen.wait("gradient norm", "● running", "? Help")
    assert steps_of(run)[-1] > before


def stop(screen: Terminal, run: RunFolder) -> None:
    screen.press("S")
    screen.wait("After this step", "Leave it running")
    screen.press("Enter")
    screen.wait("■ stopped", "? Help")
    assert observe(run).state == "stopped"


def fork(screen: Terminal, tour: Path) -> None:
    """From a checkpoint of the list to a run of its own."""
    screen.press("K")
    screen.wait("verified", "f Fork")
    screen.press("f")
    screen.wait("which begins with tiny-0001@")
    screen.press("C-l")
    screen.wait("● running", "tiny-0002", "gradient norm")
    forked = RunFolder(tour / "runs" / "tiny-0002")
    parent = read_facts(forked).parent
    assert parent is not None and parent.run == "tiny-0001"
    trained(forked, 20)
    screen.press("S")
    screen.wait("Leave it running")
    screen.press("Enter")
    screen.wait("■ stopped", "? Help")


def compare(screen: Terminal) -> None:
    screen.press("1")
    screen.wait("tiny-0001", "tiny-0002")
    screen.press("A", "C")
    screen.wait("tiny-0001", "tiny-0002", "common")
    screen.press("x")
    screen.wait("tokens")
    screen.press("d")
    screen.wait("The configurations are the same")


def read(screen: Terminal) -> None:
    """Log, samples, layers of the opened run."""
    screen.press("9")
    screen.wait("line", "following")
    screen.press("/")
    screen.wait("regular expression")
    screen.type("step 1[0-9]")
    screen.press("Enter")
    screen.wait("match")
    screen.press("6")
    screen.wait("6 Samples")
    screen.press("4")
    screen.wait("4 Layers", "newest values")


def chat(screen: Terminal) -> None:
    screen.press("1")
    screen.wait("tiny-0002")
    screen.press("c")
    screen.wait("@latest", "not loaded")
    screen.press("i")
    screen.wait("enter Say")
    screen.type("hello")
    screen.press("Enter")
    screen.wait("● ready", "tokens,")
    screen.press("Escape")


def delete_and_restore(screen: Terminal) -> None:
    screen.press("1", "Escape", "D")
    screen.wait("Move to the trash")
    screen.press("Down", "Enter")
    screen.wait("moved to the trash", "? Help")
    screen.press("T")
    screen.wait("Bring back")
    screen.press("Enter")
    screen.wait("is a run again")


@pytest.mark.parametrize("size", [(120, 34), (200, 60), (60, 20)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_every_screen_and_its_help_can_be_read_at_any_size(tour: Path, size: tuple[int, int]) -> None:
    with terminal(tour, size) as screen:
        open_console(screen, tour)
        launched(screen, tour)
        for number, label in zip(
            "123456789",
            ("Runs", "Launch", "Live", "Layers", "Compare", "Samples", "Chat", "Validate", "Log"),
            strict=True,
        ):
            screen.press(number)
            screen.wait(f"{number} {label}")
            screen.press("?")
            screen.wait("esc Close", "a All keys")
            screen.press("Escape")
            screen.wait("? Help", f"{number} {label}")
        screen.press("q")
        assert screen.ended() == "0"
        assert "goes on training" in screen.said()
