"""The console ends with its terminal, whatever the terminal's end looks like."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path


def test_the_console_leaves_when_its_terminal_is_gone(root: Path) -> None:
    master, slave = pty.openpty()
    code = "from pathlib import Path; from nanoconsole.tui.app import run_app; run_app(Path('runs'))"
    environment = {**os.environ, "TERM": "xterm-256color"}
    console = subprocess.Popen(
        [sys.executable, "-c", code], stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
    )
    os.close(slave)
    try:
        seen, deadline = b"", time.monotonic() + 40
        while b"Runs" not in seen:  # it has drawn its first screen
            assert time.monotonic() < deadline
            if select.select([master], [], [], 0.2)[0]:
                seen += os.read(master, 1 << 16)
        os.close(master)
        assert console.wait(timeout=20) == 129
    finally:
        console.kill()
