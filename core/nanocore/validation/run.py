"""Running the checks one after another; whatever a check does, the next one runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Literal

from nanocore.errors import UsageError
from nanocore.runs.text import sanitize_line
from nanocore.validation.catalog import CHECKS, NAMES, Entry
from nanocore.validation.outcome import Failed, Found, NotRun

State = Literal["running", "passed", "failed", "not run"]
LONGEST = 300  # characters of what is told


@dataclass(frozen=True)
class Report:
    """Where a check stands. `figure` and `meaning` are of one that passed, or the reason of one that was not run;
    `observed` and `expected` of one that failed."""

    name: str
    state: State
    seconds: float = 0.0
    figure: str = ""
    meaning: str = ""
    observed: str = ""
    expected: str = ""


def chosen(only: Sequence[str]) -> list[Entry]:
    """The checks that are named, in the order of the catalog; all without a name. UsageError for an unknown one."""
    if unknown := [name for name in only if name not in NAMES]:
        raise UsageError(f"no check named {sanitize_line(str(unknown[0]), 60)!r}", fix=f"there are {', '.join(NAMES)}")
    return [entry for entry in CHECKS if not only or entry.name in only]


def run(entries: Sequence[Entry]) -> Iterator[Report]:
    """Each check when it begins, and when it has ended."""
    for entry in entries:
        yield Report(entry.name, "running")
        yield _ended(entry)


def _ended(entry: Entry) -> Report:
    """Do it; loading the modules it needs is not counted as its time."""
    began = time.monotonic()

    def report(state: State, **words: str) -> Report:
        safe = {key: sanitize_line(text, LONGEST) for key, text in words.items()}
        return Report(entry.name, state, round(time.monotonic() - began, 3), **safe)

    try:
        check = _function(entry)
        began = time.monotonic()
        found = check()
    except Failed as failure:
        return report("failed", observed=failure.observed, expected=failure.expected)
    except NotRun as reason:
        return report("not run", meaning=str(reason))
    except Exception as error:
        return report("failed", observed=f"{type(error).__name__}: {error}", expected="no error")
    return report("passed", figure=found.figure, meaning=found.meaning)


def _function(entry: Entry) -> Callable[[], Found]:
    module, _, name = entry.function.partition(":")
    return getattr(import_module(module), name)
