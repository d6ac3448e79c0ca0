"""`python -m nanoconsole` and the installed command."""

from __future__ import annotations

import signal
import sys
from types import FrameType


def main() -> None:
    """Run one command and leave with its documented exit code."""
    if not sys.platform.startswith("linux"):
        print("nanoconsole: runs on Linux only (it rests on Linux file locks and process identities)", file=sys.stderr)
        raise SystemExit(2)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    from nanoconsole.cli.main import run
    from nanoconsole.cli.streams import take_over

    take_over()
    raise SystemExit(run(sys.argv[1:]))


def _leave(number: int, _frame: FrameType | None) -> None:
    """End by the ordinary way out, so that helpers end too and the terminal is left in order."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main()
