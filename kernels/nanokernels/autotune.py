"""Which of several ways to the same result is the fastest on this machine: measured once, remembered on disk.

The file is keyed by what the figures depend on: CPU model and flags, number of CPUs, and the version of the C sources. What
was measured on a GPU stands in it too, its key naming the GPU and versions. A file that cannot be read is measured anew.
The instruction set is not among what is measured: it is the best that the CPU has (`paths.active_path`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median

import torch
from torch import Tensor

from nanokernels import tuned_file
from nanokernels.packing import Layout, PackedTernary, pack
from nanokernels.paths import Path, active_path

Linear = Callable[[Tensor, PackedTernary, Path, int], Tensor]  # x, matrix, path, threads
Clock = Callable[[], float]
FEWEST_ROUNDS, MOST_ROUNDS = 5, 25
SECONDS = 0.1  # after which ways that are compared get no more rounds than the fewest
STEADY = 1.3  # a typical run takes at most so many times the fastest, where nobody disturbs
LAYOUT_SECONDS = 0.01  # a layout is timed for about so long
COLD_BYTES = 256 << 20  # no more weights are streamed to measure a layout
LAYOUTS: tuple[Layout, ...] = ("t2", "t5")


def fastest(what: str, ways: Mapping[str, Callable[[], object]], clock: Clock = time.perf_counter) -> str:
    """The name of the fastest of some ways to do `what`, which is the key of what is remembered.

    They take turns, and the best run of each counts. Where runs differ by more than `STEADY` the machine was busy: the
    answer then holds for this call, and nothing is remembered.
    """
    known = (tuned_file.read(what) or {}).get("way")
    if isinstance(known, str) and known in ways:
        return known
    seconds = _turns(ways, clock)
    taken = {name: min(each) for name, each in seconds.items()}
    best = min(taken, key=lambda name: taken[name])
    if all(median(each) <= STEADY * min(each) for each in seconds.values()):
        times = {f"seconds with {name}": float(f"{each:.3g}") for name, each in taken.items()}
        tuned_file.write(what, {"way": best, **times})
    return best


def _turns(ways: Mapping[str, Callable[[], object]], clock: Clock) -> dict[str, list[float]]:
    """Seconds of each round of each way; a first round warms up and does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for round_ in range(MOST_ROUNDS + 1):
        for name, way in ways.items():
            began = clock()
            way()
            seconds[name].append(clock() - began)
        if round_ >= FEWEST_ROUNDS and sum(map(sum, seconds.values())) >= SECONDS:
            break
    return {name: each[1:] for name, each in seconds.items()}


def choose_layout(rows: int, columns: int, streamed_bytes: int, linear: Linear) -> Layout:
    """T2 or T5, whichever decodes faster where each token streams so many bytes of T2 weights through the caches."""
    copies = max(1, min(streamed_bytes, COLD_BYTES) * 4 // (rows * columns))
    key = f"layout {rows}x{columns} copies {copies}"
    known = (tuned_file.read(key) or {}).get("layout")
    if known in LAYOUTS:
        return known
    gops = {layout: _streamed(rows, columns, layout, copies, linear) for layout in LAYOUTS}
    best = max(LAYOUTS, key=lambda layout: gops[layout])
    tuned_file.write(key, {"layout": best, **gops})
    return best


def choose_threads(what: str, most: int, seconds: Callable[[int], float]) -> int:
    """How many threads of at most `most` do `what` fastest: measured once with `seconds`, remembered."""
    key = f"threads {what} at most {most}"
    known = (tuned_file.read(key) or {}).get("threads")
    if isinstance(known, int) and 1 <= known <= most:
        return known
    taken = {count: seconds(count) for count in thread_counts(most)}
    best = min(taken, key=lambda count: taken[count])
    tuned_file.write(
        key, {"threads": best, **{f"seconds with {count}": round(each, 6) for count, each in taken.items()}}
    )
    return best


def thread_counts(most: int) -> list[int]:
    """Numbers of threads that may be fastest: powers of two, all, and half, which leaves hyperthreads out."""
    return sorted({count for count in (*(1 << i for i in range(most.bit_length())), most // 2, most) if count})


def inspect() -> dict[str, dict]:
    """Everything measured on this machine so far, by what was measured."""
    return tuned_file.entries()


def reset() -> dict[str, dict[str, dict]]:
    """Forget all measurements of this machine, here and on disk. Returns each file's entries. Raises OSError."""
    return tuned_file.reset()


def _streamed(rows: int, columns: int, layout: Layout, copies: int, linear: Linear) -> float:
    """GOPS of one token against each of several copies in turn, so that a copy leaves the caches before it returns."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(-1, 2, (rows, columns), generator=generator).to(torch.int8)
    first = pack(codes, torch.ones(1, 1), layout)
    matrices = [PackedTernary(layout, rows, columns, first.data.clone(), first.scale) for _ in range(copies)]
    x, path = torch.randn(1, columns, generator=generator), active_path()
    seconds = _seconds(lambda: [linear(x, matrix, path, 1) for matrix in matrices])
    return round(2 * rows * columns * copies / seconds / 1e9, 2)


def _seconds(call: Callable[[], object]) -> float:
    """The fastest of several runs on this thread, after one that warms up."""
    call()
    best, end = float("inf"), time.perf_counter() + LAYOUT_SECONDS
    while True:
        began = time.thread_time()
        call()
        best = min(best, time.thread_time() - began)
        if time.perf_counter() >= end:
            return best
