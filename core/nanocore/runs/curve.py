"""What of a run's records makes a curve: the same test of steps and values for every reader."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nanocore.runs.records import SCHEMA, Record

LARGEST_STEP = 2**53
NOT_METRICS = {"schema", "kind", "step", "attempt", "tokens", "time", "elapsed", "nonfinite"}
_NONFINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def usable(record: Record) -> bool:
    """Whether a record has a place on the curve: whole numbers as step and attempt, and a schema known here."""
    known, step, attempt = record.get("schema", SCHEMA), record.get("step", -1), record.get("attempt", 1)
    return type(known) is type(step) is type(attempt) is int and (
        known <= SCHEMA and 0 <= step <= LARGEST_STEP and 0 <= attempt <= LARGEST_STEP
    )


def attempt_of(record: Record) -> int:
    """The attempt that wrote a record; 1 for one that does not say."""
    return record.get("attempt", 1)


def value(record: Record, key: str) -> float | None:
    """A metric of a record as float: nan or inf where it was recorded as non-finite, None for anything else."""
    found = record.get(key)
    if found is None:
        reasons = record.get("nonfinite")
        return _NONFINITE.get(str(reasons.get(key))) if isinstance(reasons, dict) else None
    return number(found) if type(found) in (int, float) else None


def values(record: Record) -> Iterator[tuple[str, float]]:
    """Every metric of a record with its value."""
    for key in record.keys() - NOT_METRICS:
        if (found := value(record, key)) is not None:
            yield key, found


def number(found: object) -> float:
    """A float from a file: nan when it is no number, inf when it is too large for one."""
    if type(found) is float:
        return found
    if type(found) is not int:
        return math.nan
    try:
        return float(found)
    except OverflowError:
        return math.inf


def newest_attempts(records: list[Record]) -> list[Record]:
    """The records of the curve as it now stands, in file order.

    A run resumed at step s writes steps after s again under a higher `attempt`; what older attempts wrote from the
    first step of a newer one on is history, not curve. Records that are not usable are left out.
    """
    placed = [record for record in records if usable(record)]
    if len({attempt_of(record) for record in placed}) < 2:
        return placed
    first: dict[int, int] = {}
    for record in placed:
        attempt, step = attempt_of(record), record["step"]
        if step < first.get(attempt, step + 1):
            first[attempt] = step
    limits: dict[int, float] = {}
    limit = math.inf
    for attempt in sorted(first, reverse=True):
        limits[attempt] = limit
        limit = min(limit, first[attempt])
    return [record for record in placed if record["step"] < limits[attempt_of(record)]]
