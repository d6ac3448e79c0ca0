"""Reading damaged files one after another under limits: of time, of memory, and of what may be raised."""

from __future__ import annotations

import random
import resource
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nanocore.errors import NanoError
from nanocore.runs.text import sanitize
from tests.faults.fuzz.formats import Format

SECONDS = 30  # for one file, on a machine whose disk is busy; the tally tells what was needed
MEMORY = 512 << 20  # bytes beyond what the process has when it begins


class Hang(BaseException):
    """The alarm: of no kind that a reader may take for an error of its own, as TimeoutError is one of the system's."""


@dataclass
class Tally:
    """What became of the files: how many were read, of how many the reader told what is wrong, how many it refused and by
    which error, and the longest reading."""

    read: int = 0
    told: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    @property
    def files(self) -> int:
        return self.read + self.told + self.refused.total()

    def line(self) -> str:
        kinds = ", ".join(f"{name} {count}" for name, count in self.refused.most_common())
        return f"{self.files} files: {self.read} still sound, {self.told} told as broken, {kinds or 'none refused'}; slowest {self.slowest:.3f} s"


def fuzz(kind: Format, count: int, place: Path, *, seed: int = 0) -> Tally:
    """Read `count` damaged files. Raises whatever a reader raises that is no NanoError of one line, with the seed that
    makes the file again."""
    tally = Tally()
    with limited_memory():
        for number in range(seed, seed + count):
            path = kind.damage(place, random.Random(f"{kind.name} {number}"))
            began = time.monotonic()
            try:
                with limited_time():
                    found = kind.read(path)
                told = isinstance(found, list) and bool(found)
                tally.told, tally.read = tally.told + told, tally.read + (not told)
            except NanoError as error:
                lines = getattr(error, "problems", [str(error)])
                assert all(sanitize(line) == line and "\n" not in line for line in lines), (
                    f"{kind.name} {number}: {lines}"
                )
                tally.refused[type(error).__name__] += 1
            except BaseException as error:
                error.add_note(f"{kind.name}, seed {number}: {path}")
                raise
            tally.slowest = max(tally.slowest, time.monotonic() - began)
    return tally


@contextmanager
def limited_time() -> Iterator[None]:
    """An alarm, which ends a reader that hangs by an error that nobody catches."""

    def ring(*_: object) -> None:
        raise Hang(f"took longer than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def limited_memory() -> Iterator[None]:
    """A MemoryError for whoever asks for much."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
