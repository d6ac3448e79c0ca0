"""Things that compete for the same machine, timed in turns: what disturbs one round disturbs all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

import torch

Key = TypeVar("Key")
SLOW = 0.4  # seconds; who takes longer for one run has no other
SETTLE = 0.02  # seconds after which OpenMP's threads no longer spin
MOST_RUNS = 100_000


@dataclass(frozen=True)
class Effort:
    """How many samples of each contestant, and about how many seconds one takes; a sample is one run at least."""

    rounds: int
    seconds: float


@dataclass(frozen=True)
class Contestant:
    """`run` does so many equal pieces of work, each of `work` operations or bytes.

    `check` looks at what the last run left and raises NanoError when it is wrong. `openmp` leaves threads behind that
    spin for a while, and would take a CPU from who comes next.
    """

    run: Callable[[int], object]
    work: float
    check: Callable[[], None] | None = None
    openmp: bool = False


@dataclass(frozen=True)
class Rate:
    """Work per second: the median of the samples, the least and the largest."""

    median: float
    least: float
    largest: float
    samples: int


def race(contestants: Mapping[Key, Contestant], *, threads: int, effort: Effort) -> dict[Key, Rate]:
    """The rate of each contestant, after the result of its first run was checked.

    One thread is timed by the processor time that it gets, so that other programs count less, several by the clock.
    """
    torch.set_num_threads(threads)
    timed = _Stopwatch(threads)
    first = {key: timed(each, 1) for key, each in contestants.items()}
    samples = {key: [each.work / first[key]] for key, each in contestants.items() if first[key] > SLOW}
    runs = {key: _runs(timed(each, 1), effort) for key, each in contestants.items() if key not in samples}
    for _ in range(effort.rounds):
        for key, count in runs.items():
            each = contestants[key]
            samples.setdefault(key, []).append(count * each.work / timed(each, count))
    return {
        key: Rate(median(found), min(found), max(found), len(found)) for key in contestants if (found := samples[key])
    }


def _runs(seconds: float, effort: Effort) -> int:
    return max(1, min(MOST_RUNS, int(effort.seconds / seconds)))


class _Stopwatch:
    """Seconds of so many runs. The first runs of each contestant are also checked."""

    def __init__(self, threads: int) -> None:
        self._threads, self._checked = threads, set[int]()
        self._clock = time.thread_time if threads == 1 else time.perf_counter

    def __call__(self, contestant: Contestant, runs: int) -> float:
        began = self._clock()
        contestant.run(runs)
        seconds = self._clock() - began
        if contestant.check is not None and id(contestant) not in self._checked:
            contestant.check()
            self._checked.add(id(contestant))
        if contestant.openmp and self._threads > 1:
            time.sleep(SETTLE)
        return max(seconds, 1e-9)
