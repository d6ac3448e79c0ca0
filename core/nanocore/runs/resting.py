"""Holding a run that nobody works on, so that nobody begins to while it is moved, repaired or packed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nanocore.errors import BusyError
from nanocore.runs.hints import to_type
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import acquire, observe


@contextmanager
def resting(run: RunFolder, verb: str) -> Iterator[None]:
    """The run's lock, for the block. Raises BusyError while a trainer has the run or may have it on another host."""
    refuse_work(run, verb)
    lock = acquire(run)
    try:
        yield
    finally:
        lock.release()


def refuse_work(run: RunFolder, verb: str) -> None:
    """As `resting`, without taking the lock."""
    state = observe(run)
    if state.state == "elsewhere":
        raise BusyError(state.reason, where=run.name, fix=f"{verb} it there")
    if state.at_work:
        raise BusyError(f"is in use: {state.text}", where=run.name, fix=f"stop it first: {to_type(f'stop {run.name}')}")
