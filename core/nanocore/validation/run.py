"""Running the checks one after another; whatever a check does, the next one runs, unless memory or disk is full."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Literal

from nanocore.errors import DISK_FULL, ResourceError, UsageError, remedy
from nanocore.runs.text import sanitize_line
from nanocore.validation.catalog import CHECKS, NAMES, Entry
from nanocore.validation.outcome import Failed, Found, NotRun
from nanocore.validation.workshop import Workshop

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


def run(entries: Sequence[Entry], workshop: Workshop) -> Iterator[Report]:
    """Each check when it begins, and when it has ended; those that go ahead begin before all others.

    Raises MemoryError, or ResourceError where the disk is full: that says nothing of what is checked.
    """
    begun: dict[str, Report] = {}
    for entry in (each for each in entries if each.ahead):
        begun[entry.name] = _done(entry.name, entry.ahead, workshop)
        yield Report(entry.name, "running")
    for entry in entries:
        if entry.name not in begun:
            yield Report(entry.name, "running")
        before = begun.get(entry.name)
        if before is None or before.state == "running":
            yield _done(entry.name, entry.function, workshop)
        else:
            yield before  # it could not begin


def _done(name: str, place: str, workshop: Workshop) -> Report:
    """Do it; `running` where that was only a beginning. Loading the modules it needs is not counted as its time."""
    began = time.monotonic()

    def report(state: State, **words: str) -> Report:
        safe = {key: sanitize_line(text, LONGEST) for key, text in words.items()}
        return Report(name, state, round(time.monotonic() - began, 3), **safe)

    try:
        function = _function(place)
        began = time.monotonic()
        found = function(workshop)
    except Failed as failure:
        return report("failed", observed=failure.observed, expected=failure.expected)
    except NotRun as reason:
        return report("not run", meaning=str(reason))
    except (MemoryError, ResourceError):
        raise
    except OSError as error:
        if error.errno in DISK_FULL:
            what = f"no room for what the check {name} makes: {error.strerror}"
            raise ResourceError(what, where=str(workshop.folder), fix=remedy(error)) from None
        return report("failed", observed=f"{type(error).__name__}: {error}", expected="no error")
    except Exception as error:
        return report("failed", observed=f"{type(error).__name__}: {error}", expected="no error")
    return report("passed", figure=found.figure, meaning=found.meaning) if found else report("running")


def _function(place: str) -> Callable[[Workshop], Found | None]:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
