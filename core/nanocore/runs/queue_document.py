"""The queue's document: its entries, and the values that they may have.

Whoever edits it by hand may write anything. A value under which the queue would wait for ever without a word, as no slot
at all or a state that does not exist, is refused when it is read.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from nanocore.errors import UsageError
from nanocore.runs.hints import to_type
from nanocore.runs.pace import Pace

SCHEMA = 1
PENDING = ("waiting", "running")
MOST_SLOTS = 64
MOST_RESTARTS = 1000
State = Literal["waiting", "running", "finished", "stopped", "cancelled", "failed"]
Slots = Annotated[int, msgspec.Meta(ge=1, le=MOST_SLOTS)]
Restarts = Annotated[int, msgspec.Meta(ge=0, le=MOST_RESTARTS)]
Attempt = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Moment = Annotated[float, msgspec.Meta(ge=0)]


class Entry(msgspec.Struct, frozen=True):
    """A run in the queue. `state`: waiting, running, finished, stopped, cancelled or failed, with the `reason`.

    `slots` is how many runs may work at a time while this one does; 1 is alone. `attempt` is the run's attempt that
    the queue started, so that the end of an earlier one is never taken for its result. After an accident the run is
    started again at most `restarts` times, `restarted` of them used; `again` is when, 0 while it works. Times are Unix time.
    """

    run: str
    state: State = "waiting"
    slots: Slots = 1
    stop_on_failure: bool = False
    experiment: str = ""
    pace: Pace | None = None
    attempt: Attempt = 0
    cancelled: bool = False
    restarts: Restarts = 0
    restarted: Restarts = 0
    again: Moment = 0.0
    reason: str = ""
    added: Moment = 0.0
    ended: Moment = 0.0


class Queue(msgspec.Struct):
    """The document: entries in their order. `halted` says why nothing more is started until `start`."""

    schema: int = SCHEMA
    halted: str = ""
    entries: list[Entry] = []

    def index(self, run: str) -> int:
        """The place of a run's pending entry in `entries`. Raises UsageError when it has none."""
        for index, entry in enumerate(self.entries):
            if entry.run == run and entry.state in PENDING:
                return index
        ended = next((entry.state for entry in reversed(self.entries) if entry.run == run), "")
        what = f"has ended already: {ended}" if ended else "is not in the queue"
        raise UsageError(what, where=run, fix=f"see {to_type('queue list')}")

    def pending(self, state: str = "") -> list[Entry]:
        """The entries that wait or run, or those in one of the two states."""
        return [entry for entry in self.entries if entry.state in ((state,) if state else PENDING)]

    def replace(self, run: str, **fields: object) -> None:
        """Set fields of a run's pending entry."""
        index = self.index(run)
        self.entries[index] = msgspec.structs.replace(self.entries[index], **fields)

    @property
    def has_work(self) -> bool:
        """Whether a supervisor is needed: something runs, or waits and may start."""
        return bool(self.pending("running") or (self.pending("waiting") and not self.halted))
