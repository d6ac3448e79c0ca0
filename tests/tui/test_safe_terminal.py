"""The real program in a terminal of its own: nothing from a run folder, preset or file is obeyed by that terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from fcntl import ioctl
from pathlib import Path
from struct import pack
from termios import TIOCSWINSZ

import pyte

from nanocore.runs.create import update_run
from nanocore.runs.records import RecordWriter
from tests.tui.scenes import lay

HARMS = (
    "\x1b]0;owned\x07",
    "\x1bPowned\x1b\\",
    "\x9bowned",
    "\x9downed\x9c",
    "\x1b[2Jowned",
    "\u202eowned",
    "\x1b]52;c;b3duZWQ=\x07",
)
HOSTILE = "".join(HARMS) + " [/] [@click=app.quit]click[/] [red]"
ESCAPED = "".join(character if character.isalnum() else f"\\u{ord(character):04x}" for character in HOSTILE)


class Terminal:
    """A program in a pty, with what it wrote and what that looks like."""

    def __init__(self, home: Path, code: str, columns: int = 120, lines: int = 40) -> None:
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self.output = b""
        self._master, slave = pty.openpty()
        ioctl(slave, TIOCSWINSZ, pack("HHHH", lines, columns, 0, 0))
        inherited = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
        environment = {**inherited, "HOME": str(home), "TERM": "xterm-256color", "TEXTUAL_ANIMATIONS": "none"}
        environment |= {"XDG_CONFIG_HOME": str(home / "config"), "COLORTERM": "truecolor"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
        )
        os.close(slave)

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def wait_for(self, text: str, *, there: bool = True) -> None:
        """Read until `text` stands on the screen, or stands there no more."""
        deadline = time.monotonic() + 40
        while any(text in line for line in self.screen.display) != there:
            assert time.monotonic() < deadline, f"waited for {text!r} {there}:\n" + "\n".join(self.screen.display)
            self._read()

    def _read(self) -> None:
        if select.select([self._master], [], [], 0.2)[0]:
            try:
                block = os.read(self._master, 1 << 16)
            except OSError:  # the program has closed the terminal
                return
            self.output += block
            self._stream.feed(block)

    def close(self) -> bytes:
        """Leave, and give back everything that was written."""
        self.press("q")
        deadline = time.monotonic() + 30
        while self._process.poll() is None:
            assert time.monotonic() < deadline, "the program does not end"
            self._read()
        self._read()
        os.close(self._master)
        return self.output


def assert_harmless(output: bytes) -> None:
    text = output.decode("utf-8", "replace")
    for harm in HARMS:
        assert harm not in text
    assert b"\x9bowned" not in output
    assert b"\x9downed" not in output
    assert "\u202e" not in text


def test_nothing_in_a_run_folder_or_preset_steers_the_terminal(root: Path, private_home: Path) -> None:
    run = lay(root, "probe", state="crashed", steps=30, message=HOSTILE)
    update_run(run, preset=HOSTILE)
    metrics = RecordWriter(run.metrics_file)
    metrics.write({"step": 31, "attempt": 1, HOSTILE: 1.0, "loss/ce": 2.0})
    metrics.close()
    with run.log_file.open("w") as log:
        log.write(f"loud {HOSTILE}\n")
    run.sample_file(31).write_text(f"sampled {HOSTILE}\n")
    own = private_home / "config" / "nanoconsole" / "presets"
    own.mkdir(parents=True)
    (own / "evil.toml").write_text(f'[about]\ndescription = "preset {ESCAPED}"\n[model]\nd_model = "{ESCAPED}"\n')
    terminal = Terminal(
        private_home, f"from pathlib import Path\nfrom nanoconsole.tui.app import run_app\nrun_app(Path({str(root)!r}))"
    )
    terminal.wait_for("probe")
    terminal.press("\r")
    terminal.wait_for("␛]0;owned␇␛Powned")
    terminal.wait_for("loud ␛]0;owned")
    terminal.press("2")
    terminal.wait_for("tiny-cpu")
    terminal.press("\x1b[F")  # End: the last preset
    terminal.wait_for("evil (yours)")
    terminal.wait_for("✗ 2 faults")
    terminal.press("?")
    terminal.wait_for("esc Close")
    terminal.press("q")
    terminal.wait_for("esc Close", there=False)
    terminal.press("1")
    terminal.wait_for("enter Open")
    assert_harmless(terminal.close())


def test_nothing_in_a_toml_file_steers_the_terminal(root: Path, private_home: Path) -> None:
    file = root.parent / "evil.toml"
    file.write_text(
        f'"{ESCAPED}" = 1\n[evaluation]\nsample_prompt = "prompt {ESCAPED}"\n[model]\nlinear = "{ESCAPED}"\n'
    )
    code = "from pathlib import Path\nfrom nanoconsole.tui.app import run_config_editor\n"
    terminal = Terminal(private_home, f"{code}run_config_editor({str(file)!r}, Path({str(root)!r}))")
    terminal.wait_for("✗ 3 faults")
    terminal.press("/")
    terminal.wait_for("enter Done")
    terminal.press("sample_prompt\r")
    terminal.wait_for("enter Edit")
    terminal.press("\r")
    terminal.wait_for("sample_prompt = ")
    terminal.press("\x0c")  # launch: refused with a notification
    terminal.wait_for("cannot be launched")
    terminal.press("\x1b")
    terminal.wait_for("enter Edit")
    assert_harmless(terminal.close())
