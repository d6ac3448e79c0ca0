"""The fastest path, thread count and layout for a shape on this machine: measured once, remembered on disk.

The file is keyed by what the figures depend on: CPU model and flags, number of CPUs, and the version of the C sources. What
was measured on a GPU stands in it too, its key naming the GPU and versions. A file that cannot be read is measured anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor

from nanokernels import tuned_file
from nanokernels.packing import Layout, PackedTernary, pack
from nanokernels.paths import VECTOR, Path, active_path, available_paths
from nanokernels.tuned_file import cpus

Linear = Callable[[Tensor, PackedTernary, Path, int], Tensor]  # x, matrix, path, threads
TOKENS = (1, 2, 6, 48, 256)  # a number of tokens is measured as the next of these
ONE_THREAD_BELOW = 1 << 20  # products of weights and tokens; waking a thread costs more than it brings
SECONDS = 0.01  # a candidate is timed for about so long
COLD_BYTES = 256 << 20  # no more weights are streamed to measure a layout
LAYOUTS: tuple[Layout, ...] = ("t2", "t5")


@dataclass(frozen=True)
class Choice:
    """A path, its threads, and what it did: 2 M K N operations a second, in 10^9."""

    path: Path
    threads: int
    gops: float


_chosen: dict[str, Choice] = {}


def choose(packed: PackedTernary, tokens: int, linear: Linear) -> Choice:
    """The fastest of `candidates` for this matrix and number of tokens. On a GPU it is Triton: see `triton_tune`."""
    device = packed.data.device
    if device.type != "cpu":
        return Choice(active_path(device), 1, 0.0)
    measured = next((count for count in TOKENS if tokens <= count), TOKENS[-1])
    key = f"{packed.layout} {packed.rows}x{packed.columns} groups {packed.groups} tokens {measured}"
    if key not in _chosen:
        _chosen[key] = _remembered(key) or _fastest(key, packed, measured, linear)
    return _chosen[key]


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


def candidates(work: int) -> list[tuple[Path, int]]:
    """Paths and thread counts that may be fastest for so many products: no plain C where there are vectors."""
    paths = available_paths()
    vectors: list[Path] = [path for path in VECTOR if path in paths]
    tried: list[Path] = vectors or [path for path in paths if path == "scalar"]
    counts = thread_counts(cpus()) if work >= ONE_THREAD_BELOW else [1]
    return [("torch", 1), *((path, count) for path in tried for count in counts)]


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
    """Everything measured on this machine so far, by shape."""
    return tuned_file.entries()


def reset() -> dict[str, dict[str, dict]]:
    """Forget all measurements of this machine. Returns what was forgotten: each file's entries. Raises OSError."""
    _chosen.clear()
    return tuned_file.reset()


def _remembered(key: str) -> Choice | None:
    known = tuned_file.read(key) or {}
    path, threads, gops = known.get("path"), known.get("threads"), known.get("gops")
    if path in available_paths() and isinstance(threads, int) and 1 <= threads <= cpus() and isinstance(gops, float):
        return Choice(cast(Path, path), threads, gops)
    return None


def _fastest(key: str, packed: PackedTernary, tokens: int, linear: Linear) -> Choice:
    x = torch.randn(tokens, packed.columns, generator=torch.Generator().manual_seed(0))
    work = packed.rows * packed.columns * tokens
    timed = {candidate: _seconds(partial(linear, x, packed, *candidate)) for candidate in candidates(work)}
    path, threads = min(timed, key=lambda candidate: timed[candidate])
    choice = Choice(path, threads, round(2 * work / timed[path, threads] / 1e9, 2))
    tuned_file.write(key, asdict(choice))
    return choice


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
    """The fastest of several runs, after one that warms up."""
    call()
    best, end = float("inf"), time.perf_counter() + SECONDS
    while True:
        began = time.perf_counter()
        call()
        now = time.perf_counter()
        best = min(best, now - began)
        if now >= end:
            return best
