"""Which runs there are in some roots, and the stamps by which a change of a file or folder is seen."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from nanocore.errors import NanoError
from nanocore.runs.layout import RunFolder, list_runs
from nanocore.runs.orphans import orphans
from nanocore.runs.text import sanitize_line

SETTLED = 10.0  # seconds after which a new folder has its run.json, and a root at rest is listed rarely
RARELY = 30  # looks between two listings of a root at rest
Stamp = tuple[int, int, int]
NO_FILE: Stamp = (0, 0, 0)


class Listing:
    """Which runs there are in some roots. A root whose folder has not changed for some time is listed rarely."""

    def __init__(self, root: Path, others: Sequence[Path]) -> None:
        self._roots = labelled(root, others)
        self._stamps: list[Stamp] = []
        self._runs: dict[RunFolder, str] = {}
        self._age = 0
        self.problem = ""

    def runs(self, *, reading: bool = False) -> dict[RunFolder, str]:
        """Every run with the label of its root; `problem` then says why some root, or a folder in it, is not listed.

        While the runs listed before are still read, which `reading` says, a root is listed again only when its folder changed.
        """
        stamps = [stamp(root) for root, _ in self._roots]
        self._age += 1
        settled = all(time.time() - each[2] / 1e9 - SETTLED > 0 for each in stamps)
        if stamps == self._stamps and (reading or (settled and self._age < RARELY)):
            return self._runs
        self._stamps, self._age = stamps, 0
        self._runs, problems = {}, []
        for root, label in self._roots:
            try:
                self._runs |= dict.fromkeys(list_runs(root), label)
                if names := [run.name for run in orphans(root)]:
                    problems.append(f"not listed, for there is no run.json: {', '.join(names)}")
            except NanoError as error:
                problems.append(sanitize_line(str(error)))
        self.problem = "; ".join(problems)
        return self._runs


def labelled(root: Path, others: Sequence[Path]) -> list[tuple[Path, str]]:
    """The roots without repetition, each with its label: "" for the first, else the shortest end of its path that is
    its own among the others."""
    rest = [other for other in dict.fromkeys(each.absolute() for each in others) if other != root.absolute()]
    found = [(root, "")]
    for other in rest:
        parts = [sanitize_line(part, 24) for part in other.parts[1:]] or ["/"]
        ends = {"/".join(each.parts[-count:]) for each in rest if each != other for count in range(1, len(each.parts))}
        count = next((n for n in range(1, len(parts)) if "/".join(other.parts[-n:]) not in ends), len(parts))
        found.append((other, "/".join(parts[-count:])))
    return found


def stamp(path: Path) -> Stamp:
    """Changes whenever a file grows or a folder's entry does."""
    try:
        facts = path.stat()
    except OSError:
        return NO_FILE
    return (facts.st_ino, facts.st_size, facts.st_mtime_ns)
