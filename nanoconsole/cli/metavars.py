"""What stands for a value in help: `--seed N` instead of Typer's `--seed <list[int]>`, and `RUN` without its type."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

_WRAPPED = re.compile(r"^<(?:list\[)?(.*?)\]?>$")
_WORDS = {"int": "N", "int range": "N", "float": "X", "float range": "X", "str": "TEXT", "path": "PATH"}


def simplify(command: Any) -> None:
    """Let the help of a command, and of all verbs below it, name values in plain words; choices stay `a|b`."""
    for parameter in getattr(command, "params", ()):
        typers = getattr(parameter, "display_type", None)
        if typers is not None:
            vars(parameter)["display_type"] = partial(_display, typers, parameter.param_type_name)
    for verb in getattr(command, "commands", {}).values():
        simplify(verb)


def _display(typers: Callable[[Any], str], kind: str, ctx: Any) -> str:
    """Typer's word without its marks; nothing behind an argument, which has a name."""
    found = _WRAPPED.match(typers(ctx))
    if kind == "argument" or found is None:
        return ""
    return _WORDS.get(found[1], found[1])
