"""What kind of terminal the command stands in."""

from __future__ import annotations

import os
import sys

from nanocore.errors import UsageError

WEB_DRIVER = "textual.drivers.web_driver:"  # what textual-serve has Textual draw with, over pipes


def interactive() -> bool:
    """Whether an app can draw here: both ends a terminal, and one that can move its cursor; or a page in a browser."""
    served = os.environ.get("TEXTUAL_DRIVER", "").startswith(WEB_DRIVER)
    return served or (sys.stdin.isatty() and sys.stdout.isatty() and _capable())


def draws() -> bool:
    """Whether stdout can show a display that redraws itself."""
    return sys.stdout.isatty() and _capable()


def need_terminal(what: str, instead: str) -> None:
    """Raise UsageError in one line when no app can be opened here."""
    if not interactive():
        raise UsageError(f"{what} needs a terminal", fix=f"these work without one: {instead}")


def _capable() -> bool:
    return os.environ.get("TERM", "dumb") not in ("dumb", "unknown", "")
