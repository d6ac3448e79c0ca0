"""Where the faults of a configuration are shown: at the field each belongs to, or by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nanocore.config.fields import fields
from nanocore.config.problem import Problem
from nanocore.runs.text import sanitize_line

FIELDS = {field.key: field for field in fields()}


def filed(found: Iterable[Problem], value: Callable[[str], object]) -> tuple[dict[str, str], list[str]]:
    """The first fault of each field by its key, and the faults of no field: unknown keys and sections.

    `value` tells what is written at a key. A fault inside a list belongs to the list.
    """
    problems: dict[str, str] = {}
    others: list[str] = []
    for problem in found:
        key = ".".join(problem.key.partition("[")[0].split(".")[:2])
        if key in FIELDS:
            problems.setdefault(key, _words(problem, key, value(key)))
        else:
            others.append(sanitize_line(str(problem)))
    return problems, others


def _words(problem: Problem, key: str, written: object) -> str:
    typed = FIELDS[key].kind in ("int", "float") and isinstance(written, str)
    fix = "" if typed else problem.fix  # advice about quotes is for files
    return sanitize_line(f"{problem.what}; {fix}" if fix else problem.what)
