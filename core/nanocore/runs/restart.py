"""Starting a queued run again after an accident: which ends are one, how often, and after what pause."""

from __future__ import annotations

import time

import msgspec

from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import RunState
from nanocore.runs.postmortem import known_exit
from nanocore.runs.queue import Entry
from nanocore.runs.records import leave

FIRST_PAUSE = 10.0  # seconds; each further one is twice as long
LONGEST_PAUSE = 600.0
# Another attempt would end the same way: usage and data (2), a failed check (3), diverged (4), no checkpoint (5), memory or
# disk (6), in use (75).
HOPELESS = (2, 3, 4, 5, 6, 75)


def is_accident(run: RunFolder, state: RunState) -> bool:
    """Whether the run was killed, or ended by an error of the program, so that it may go on from its checkpoint."""
    if state.state != "crashed" or state.status is None:
        return False
    code = known_exit(run, state.status)
    return code is None or code not in HOPELESS


def pause(restarted: int) -> float:
    """Seconds before the next start, after so many."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(restarted, 16))


def postponed(run: RunFolder, entry: Entry, state: RunState) -> Entry:
    """The entry as it waits to be started again; the run's events say so."""
    seconds, restart = pause(entry.restarted), entry.restarted + 1
    message = f"starts again in {seconds:.0f} s, {restart} of {entry.restarts}: {state.text}"
    status = state.status
    place = {"step": status.step if status else 0, "attempt": status.attempt if status else 0}
    leave(run, {"kind": "restart", **place, "seconds": seconds, "message": message})
    return msgspec.structs.replace(entry, restarted=restart, again=time.time() + seconds, reason=message)


def due(entry: Entry) -> bool:
    """Whether the pause is over; a clock that was set back does not prolong it."""
    left = entry.again - time.time()
    return not 0.0 < left <= pause(entry.restarted - 1)
