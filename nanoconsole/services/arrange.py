"""Which runs are shown, and in which order: the same for the screen and for `runs list`."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from nanoconsole.services.filter import ALL, Filter
from nanoconsole.services.listed import Listed
from nanoconsole.services.run_fields import Context, Key, find_key, nearest
from nanocore.errors import UsageError

NEWEST = "created"


@dataclass(frozen=True)
class Arrangement:
    """A filter, the field to sort by, whether in reverse, and whether archived runs are shown too."""

    filter: Filter = ALL
    sort: str = NEWEST
    reverse: bool = False
    archived: bool = False

    def arranged(self, runs: Iterable[Listed], context: Context) -> list[Listed]:
        """The runs that are shown, in order. The order in which they come decides between equals."""
        shown = [run for run in runs if self._shown(run, context)]
        if self.sort == NEWEST and not self.reverse:
            return shown  # lists come like that
        return _sorted(shown, sort_key(self.sort), self.reverse, context)

    def _shown(self, run: Listed, context: Context) -> bool:
        return (self.archived or not run.notes.archived) and self.filter.matches(run, context)


def sort_key(name: str, metrics: Collection[str] = ()) -> Key:
    """What runs are sorted by. Raises UsageError for a name that means nothing."""
    key = find_key(name, metrics)
    if key is None:
        near = nearest(name, metrics)
        raise UsageError(
            f"{name!r} is nothing to sort by",
            fix=f"did you mean {near}?" if near else "try loss, bpb, speed or eval/ce",
        )
    return key


def _sorted(runs: Sequence[Listed], key: Key, reverse: bool, context: Context) -> list[Listed]:
    """Runs by a key, in its own direction or the reverse; those without a value last, and before them the non-finite."""
    found = [(key.get(run, context), run) for run in runs]
    numbers = [(value, run) for value, run in found if isinstance(value, int | float) and math.isfinite(value)]
    texts = [(value, run) for value, run in found if isinstance(value, str | tuple) and value]
    placed = {id(run) for _, run in (*numbers, *texts)}
    rest = [(value, run) for value, run in found if id(run) not in placed]
    falls = key.falls != reverse
    ordered = [run for _, run in sorted(numbers, key=lambda pair: pair[0], reverse=falls)]
    ordered += [run for _, run in sorted(texts, key=lambda pair: str(pair[0]), reverse=falls)]
    return (
        ordered
        + [run for value, run in rest if isinstance(value, float)]
        + [run for value, run in rest if not isinstance(value, float)]
    )
