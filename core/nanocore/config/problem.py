"""A fault of a configuration, and a rule that finds some."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nanocore.config.schema import Config


@dataclass(frozen=True)
class Problem:
    """One fault of a configuration: the dotted key to change, what is wrong, and what to do."""

    key: str
    what: str
    fix: str
    keys: tuple[str, ...] = ()  # all that the broken rule reads

    def __str__(self) -> str:
        return f"{self.key}: {self.what}; {self.fix}"


@dataclass(frozen=True)
class Rule:
    """A check over several keys. It is skipped while one of its keys is itself invalid."""

    keys: tuple[str, ...]
    check: Callable[[Config], Iterator[Problem]]
