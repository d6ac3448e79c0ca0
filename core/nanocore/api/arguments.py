"""What Python users may give wrongly in every call: a name that is none of those known, a path that is no path."""

from __future__ import annotations

from os import PathLike, fspath
from typing import Any, get_args

from nanocore.checkpoint.choose import parse_step
from nanocore.errors import UsageError


def one_of(literal: Any, **given: object) -> None:
    """Raise UsageError for an argument that is none of the names of a Literal type."""
    names = get_args(literal)
    for name, value in given.items():
        if value not in names:
            raise UsageError(f"{name} {value!r} is unknown", fix=f"it is one of {', '.join(names)}")


def path_text(path: str | PathLike[str]) -> str:
    """A path as text. Raises UsageError for what is none."""
    try:
        return str(fspath(path))
    except TypeError:
        raise UsageError(f"a {type(path).__name__} names no run and no file", fix="give a name or a path") from None


def step_of(step: int | str) -> int | str:
    """A step, `latest` or `best`. Raises UsageError for anything else."""
    return parse_step(str(step))
