"""What this machine does at most: bytes read from each level of its memory, and dot products on registers alone."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from nanocore.bench.race import Contestant, Effort, race
from nanokernels import probe
from nanokernels.cpu_cache import last_level_cache
from nanokernels.packing import Layout, PackedTernary, pack
from nanokernels.paths import NATIVE, NativePath, available_paths
from nanokernels.probe import Rotation

WORKING_SETS = (32 << 10, 512 << 10, 2 << 20, 4 << 20, 12 << 20, 32 << 20)
MEMORY, MOST_MEMORY = 256 << 20, 1 << 30  # bytes that no cache holds, but for a larger one than usual
QUICK_MEMORY = 64 << 20
AHEAD = (0, 16384)  # bytes prefetched: none, and what the kernels do; the faster reading is the limit
DOT_ROUNDS = 1000
# rows x columns whose packed weights the second-level cache holds: 256 KiB. Fewer, and the call itself is what takes time
SMALL = 512, 2048
Key = tuple[int | str, int]  # bytes of a working set or a path, and bytes ahead


def natives() -> list[NativePath]:
    """The native paths that run here, the fastest first."""
    return [cast(NativePath, path) for path in available_paths() if path in NATIVE]


def memory_bytes(*, quick: bool) -> int:
    """Bytes that must come from memory, whatever the caches hold: twice the largest cache at least, 1 GiB at most."""
    return min(max(QUICK_MEMORY if quick else MEMORY, 2 * last_level_cache()), MOST_MEMORY)


def limits(threads: int, *, quick: bool, effort: Effort) -> dict[str, Any]:
    """Of so many threads together: 10^9 bytes a second by working set, 10^9 operations a second by path."""
    sizes = (*WORKING_SETS, memory_bytes(quick=quick))
    buffers = {size: probe.buffer(size, threads) for size in sizes}
    readers: dict[Key, Contestant] = {
        (size, ahead): reader([buffers[size]], threads, ahead) for size in sizes for ahead in AHEAD
    }
    multipliers: dict[Key, Contestant] = {(path, 0): multiplier(path, threads) for path in natives()}
    rates = race(readers | multipliers, threads=threads, effort=effort)
    reads = {size: max(rates[size, ahead].median for ahead in AHEAD) for size in sizes}
    return {
        "threads": threads,
        "read": [{"bytes": size, "gbps": round(rate / 1e9, 2)} for size, rate in reads.items()],
        "dot": [{"path": path, "gops": round(rates[path, 0].median / 1e9, 1)} for path in natives()],
    }


def reader(matrices: list[PackedTernary], threads: int, ahead: int) -> Contestant:
    """Reads one of these matrices after another, in the widest registers of this machine."""
    run = partial(_read, Rotation(matrices), natives()[0], threads, ahead)
    return Contestant(run, matrices[0].data.nbytes)


def multiplier(path: NativePath, threads: int) -> Contestant:
    """Does the dot products of a path's inner loop on every thread."""
    return Contestant(partial(_dot, path, threads), DOT_ROUNDS * threads * probe.operations(path))


def unpacker(path: NativePath, layout: Layout, tokens: int) -> Contestant:
    """A path's product of so many tokens on one thread with weights out of the second-level cache: it unpacks and multiplies."""
    rows, columns = SMALL
    codes = torch.randint(-1, 2, SMALL, generator=torch.Generator().manual_seed(0), dtype=torch.int8)
    x = probe.quantised(torch.randn(tokens, columns, generator=torch.Generator().manual_seed(1)), path)
    run = partial(_unpack, Rotation([pack(codes, torch.ones(1, 1), layout)]), path, x, torch.empty(tokens, rows))
    return Contestant(run, 2 * rows * columns * tokens)


def _unpack(rotation: Rotation, path: NativePath, codes: probe.TokenCodes, y: Tensor, visits: int) -> None:
    probe.multiply(rotation, visits, path, 1, codes, y, None)


def _read(rotation: Rotation, path: NativePath, threads: int, ahead: int, visits: int) -> None:
    probe.read(rotation, visits, path, threads, ahead=ahead)


def _dot(path: NativePath, threads: int, runs: int) -> None:
    probe.dot(runs * DOT_ROUNDS, path, threads)
