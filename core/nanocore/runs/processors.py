"""How many threads a user may ask for. No torch here, so that too many are refused before it is loaded."""

from __future__ import annotations

import os

from nanocore.errors import UsageError
from nanocore.runs.spawn import cgroup_quota


def refuse_threads(requested: int, *, fix: str = "0 chooses") -> None:
    """Raise UsageError for more threads than processors that this process may use.

    Threads that wait for a processor hold up all others at the end of each product: it would take many times as long.
    """
    processors = min(len(os.sched_getaffinity(0)), cgroup_quota())
    if not 0 <= requested <= processors:
        reason = f"threads {requested} is not between 0 and {processors}, the processors this process may use"
        raise UsageError(reason, fix=fix)
