"""Commands that a message tells its reader to type, written so that the reader's shell finds them."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

_NAME = "nanoconsole"
_root: Path | None = None  # the folder of runs that the present command was given


def repeat_root(root: Path | None) -> None:
    """From now on commands to type name this folder of runs: --runs named it, or it is one of this working directory alone.

    None: the one that is found from anywhere.
    """
    global _root
    _root = root


def to_type(words: str, *, root: Path | None = None) -> str:
    """`nanoconsole WORDS`; with the path of the installed command where PATH does not lead to one.

    `root` is a folder of runs other than that of the present command.
    """
    named = root or _root
    runs = f"--runs {shlex.quote(str(named))} " if named is not None and not words.endswith("--help") else ""
    return f"{_program()} {runs}{words}"


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
