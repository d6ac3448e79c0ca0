"""A real terminal in which a test types and reads: tmux, with a server of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PATIENCE = 90.0  # seconds; a machine that trains beside the tests is slow
ENDED = "#{pane_dead},#{pane_dead_status},#{pane_dead_signal},#{pid}"
LOOK = 0.2  # seconds between two looks at the screen


class Terminal:
    """One window. `press` takes names as tmux has them: Enter, Escape, Tab, C-l, Down, or a character."""

    def __init__(self, server: list[str]) -> None:
        self._server = server

    def _tmux(self, *arguments: str) -> str:
        return subprocess.run([*self._server, *arguments], capture_output=True, text=True, check=True).stdout

    def press(self, *keys: str) -> None:
        for key in keys:
            self._tmux("send-keys", "-t", "tour", key)
            time.sleep(
                0.5 if key == "Escape" else 0.05
            )  # with a key right behind it, an escape is a part of another key

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-t", "tour", "-l", text)

    def text(self) -> str:
        """What is to be read now."""
        return self._tmux("capture-pane", "-p", "-t", "tour")

    def said(self) -> str:
        """What stands there when all has ended: the line that tmux adds at the bottom pushes the first one out of the window."""
        return self._tmux("capture-pane", "-p", "-S", "-", "-t", "tour")

    def wait(self, *words: str, without: str = "") -> str:
        """Wait until all words are to be read, and `without` is not; the screen's text then."""
        deadline = time.monotonic() + PATIENCE
        while True:
            text = self.text()
            if all(word in text for word in words) and not (without and without in text):
                return text
            assert time.monotonic() < deadline, f"{words} (without {without!r}) did not come:\n{text}"
            time.sleep(LOOK)

    def process(self) -> int:
        """The process id of what runs in the window."""
        return int(self._tmux("display-message", "-p", "-t", "tour", "#{pane_pid}"))

    def ended(self) -> str:
        """Wait until what runs in the window has ended; its exit code, or what killed it: "0", "signal 9"."""
        deadline = time.monotonic() + PATIENCE
        while True:
            dead, code, killed, server = self._tmux("display-message", "-p", "-t", "tour", ENDED).strip().split(",")
            if dead == "1" and (code or killed):  # tmux sees the end of its output before that of the process
                return f"signal {killed}" if killed else code
            os.kill(int(server), signal.SIGCHLD)  # which tmux 3.3a sometimes misses, and then the end of the process
            assert time.monotonic() < deadline, f"it goes on:\n{self.text()}"
            time.sleep(LOOK)

    def run(self, command: list[str]) -> None:
        """Start a command in the window, in place of the one before; what it printed stays when it ends."""
        self._tmux("respawn-pane", "-k", "-t", "tour", *command)


@contextmanager
def terminal(folder: Path, size: tuple[int, int]) -> Iterator[Terminal]:
    """A terminal of a size; everything in it ends with the block.

    Textual would believe COLUMNS and LINES, and not the terminal. readline, which pytest imports, sets both in the C
    environment, where `os.environ` does not see them: so the environment is given.
    """
    program = shutil.which("tmux")
    if program is None:
        pytest.skip("not run: tmux is not installed")
    server = [program, "-S", str(folder / "tmux"), "-f", os.devnull]
    width, height = map(str, size)
    keep = ["set-option", "-g", "remain-on-exit", "on"]
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    begin = [*server, "new-session", "-d", "-s", "tour", "-x", width, "-y", height, "sleep", "1000", ";", *keep]
    subprocess.run(begin, check=True, env=environment)
    try:
        yield Terminal(server)
    finally:
        subprocess.run([*server, "kill-server"], check=False)
