"""Asking, and if need be forcing, a trainer to end; only ever the very process that holds the run's lock."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nanocore.errors import ResourceError, UsageError
from nanocore.runs.control import send
from nanocore.runs.hints import to_type
from nanocore.runs.identity import Identity
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import RunState, observe
from nanocore.runs.postmortem import KILLED
from nanocore.runs.records import leave
from nanocore.runs.status import read_status

SAVE_SECONDS = 30.0  # what a trainer may take to finish its step and save after SIGTERM
_LOOK_SECONDS = 0.1
_DEATH_SECONDS = 10.0


def request(run: RunFolder, command: str, **arguments: Any) -> RunState:
    """Send a control command to a run that works now, and return the state it had. Raises UsageError otherwise."""
    state = observe(run)
    if not state.at_work:
        fix = (
            f"start it: {to_type(f'resume {run.name}')}" if state.state == "created" else f"see {to_type('runs list')}"
        )
        raise UsageError(f"is not running: {state.text}", where=run.name, fix=fix)
    send(run, command, **arguments)
    return state


def wait_until_ended(run: RunFolder) -> None:
    """Return when no process works on the run, nor one that was just launched is still to come."""
    while observe(run).at_work:
        time.sleep(_LOOK_SECONDS)


def force_stop(run: RunFolder, *, patience: float = SAVE_SECONDS) -> str:
    """End the trainer: SIGTERM, SIGCONT (a suspended one hears nothing else), `patience` seconds to save, SIGKILL.

    Returns the signal that ended it, "SIGTERM" or "SIGKILL"; the run's events say that the latter was asked for. Raises
    UsageError when no process of this host holds the run, ResourceError when it cannot be signalled.
    """
    with _trainer(run) as process:
        _signal(process, signal.SIGTERM)
        _signal(process, signal.SIGCONT)
        if _ends(process, patience):
            return "SIGTERM"
        _tell_kill(run, f": it had not saved within {patience:g} s" if patience else ", without saving")
        _signal(process, signal.SIGKILL)
        if _ends(process, _DEATH_SECONDS):
            return "SIGKILL"
    raise ResourceError(
        "the trainer cannot be killed: it hangs inside the kernel", where=run.name, fix="check its disk"
    )


@contextmanager
def _trainer(run: RunFolder) -> Iterator[int]:
    """A pidfd of the trainer, checked after it was opened: from then on it can mean no other process."""
    state = _arrived(run)
    if not state.alive or state.pid <= 0:
        raise UsageError(f"no trainer of this host works on it: {state.text}", where=run.name)
    try:
        process = os.pidfd_open(state.pid)
    except ProcessLookupError:
        raise UsageError("the trainer has just ended", where=run.name) from None
    except OSError as error:
        raise ResourceError(f"the trainer cannot be reached: {error.strerror}", where=run.name) from None
    try:
        again = observe(run)
        named = again.status is None or again.status.pid != state.pid or again.status.identity == Identity.of(state.pid)
        if not again.alive or again.pid != state.pid or not named:
            raise UsageError("the trainer has just ended", where=run.name)
        yield process
    finally:
        os.close(process)


def _arrived(run: RunFolder) -> RunState:
    """The run's state when a trainer that was just launched has come, or did not in time; only then is its pid known."""
    while (state := observe(run)).at_work and not state.alive:
        time.sleep(_LOOK_SECONDS)
    return state


def _tell_kill(run: RunFolder, why: str) -> None:
    """Say in the events that the kill was asked for: before it, because after it every reader asks what happened."""
    if (status := read_status(run)) is not None:
        message = f"killed on request{why}"
        leave(run, {"kind": KILLED, "step": status.step, "attempt": status.attempt, "message": message})


def _signal(process: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended since."""
    try:
        signal.pidfd_send_signal(process, number)
    except ProcessLookupError:
        pass
    except PermissionError:
        raise ResourceError("the trainer belongs to another user", fix="stop it as that user") from None


def _ends(process: int, seconds: float) -> bool:
    """Whether the process has ended, within `seconds`."""
    ended, _, _ = select.select([process], [], [], seconds)
    return bool(ended)
