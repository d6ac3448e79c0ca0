"""The keys of an earlier file as the rules read them, so that the reader is told which had no part in the result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nanocore.config.legacy_keys import Derived, Dropped, Option, entry


class Earlier(Mapping[str, Any]):
    """Earlier keys by their last part. Rules look up a value only where it counts; `in` alone makes no use of it."""

    def __init__(self, old: Mapping[str, Any]) -> None:
        """From dotted keys. Those that are left out stay outside: some share their last part with a key that counts."""
        kinds = {key: kind for key in old if not isinstance(kind := entry(key), Dropped | Option)}
        self._values = {_last(key): old[key] for key in kinds}
        self._needs = {_last(key): kind.needs for key, kind in kinds.items() if isinstance(kind, Derived)}
        self._used: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        value = self._values[name]
        self._used.add(name)
        return value

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def without_use(self) -> Iterator[str]:
        """A note for each key that is computed with others and whose value nothing looked at."""
        for name, needs in self._needs.items():
            if name not in self._used:
                alone = needs and not any(each in self for each in needs)
                yield f"{name}: left out: " + (_lacking(needs) if alone else "other keys of the file decide")


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _lacking(needs: tuple[str, ...]) -> str:
    return f"it says nothing without {' or '.join(needs)}"
