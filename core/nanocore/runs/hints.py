"""Commands that a message tells its reader to type, written so that the reader's shell finds them."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

_NAME = "nanoconsole"


def to_type(words: str) -> str:
    """`nanoconsole WORDS`; with the path of the installed command where PATH does not lead to one."""
    return f"{_program()} {words}"


def _program() -> str:
    """The name, else the command beside this Python (relative when it lies below the working directory), else `-m`."""
    if shutil.which(_NAME):
        return _NAME
    installed = Path(sys.executable).with_name(_NAME)
    if not installed.is_file():
        return f"{shlex.quote(sys.executable)} -m {_NAME}"
    try:
        shown = installed.relative_to(Path.cwd())
    except (ValueError, OSError):  # it lies elsewhere, or the working directory is gone
        shown = installed
    return shlex.quote(str(installed if shown == Path(_NAME) else shown))  # a shell looks up a bare name in PATH alone
