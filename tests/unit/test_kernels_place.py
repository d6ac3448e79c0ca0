"""Weights are put in place by the threads that read them: exact copies, and page faults where they belong.

A page that nobody has touched costs a fault of the thread that touches it first, which the system counts for each thread.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
import torch

from nanocore.infer.native_decoder import NativeDecoder
from nanocore.infer.packed_model import pack_model
from nanocore.model.bitlinear import freeze
from nanokernels import native, native_ops, nodes, ops
from nanokernels.arena import Arena
from nanokernels.decoder import Number, Tables
from nanokernels.packing import PackedTernary, pack
from nanokernels.reference import Layout
from tests.native_models import build

pytestmark = pytest.mark.skipif(native.find().library is None, reason=f"not run: {native.find().reason}")
THREADS = 4
TASKS = Path("/proc/self/task")


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """The threads of a new pool but for the caller, in their order. They have run once, and touched their stacks."""
    before = set(TASKS.iterdir())
    monkeypatch.setattr(native_ops, "_pools", {})
    pool = native_ops.pool(THREADS)
    native_ops.copy([torch.zeros(THREADS, dtype=torch.uint8)], [1], Arena(THREADS))
    yield sorted(set(TASKS.iterdir()) - before, key=lambda thread: int(thread.name))
    native_ops.library().nk_pool_free(pool)


@pytest.fixture
def two_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for node in ("node0", "node1"):
        for cpu in os.sched_getaffinity(0):
            (tmp_path / node / f"cpu{cpu}").mkdir(parents=True)
    monkeypatch.setattr(nodes, "NODES", tmp_path)


def faults(threads: list[Path]) -> list[int]:
    """Pages that each thread was the first to touch so far."""
    stats = [(thread / "stat").read_text() for thread in threads]
    return [int(stat.rpartition(")")[2].split()[7]) for stat in stats]


def since(threads: list[Path], before: list[int]) -> list[int]:
    return [now - then for now, then in zip(faults(threads), before, strict=True)]


def random_matrix(rows: int, columns: int, layout: Layout) -> PackedTernary:
    return pack(torch.randint(-1, 2, (rows, columns), dtype=torch.int8), torch.ones(1, 1), layout)


@pytest.mark.parametrize("layout", ["t2", "t5"])
@pytest.mark.parametrize("threads", [1, 2, 3, 4, 7])
def test_placed_weights_are_the_same_weights(layout: Layout, threads: int) -> None:
    """Alone and several as one: more threads than blocks, blocks that no number of threads divides."""
    shapes = [(1, 3), (64, 8), (81, 70), (1000, 516)]
    matrices = [random_matrix(rows, columns, layout) for rows, columns in shapes]
    arena = Arena(threads)
    guards = [arena.room(64).fill_(7)]
    placed = native_ops.place(matrices, arena)
    guards.append(arena.room(64).fill_(7))
    placed += [ops.place(matrix, threads) for matrix in matrices]
    for matrix, copy in zip(matrices * 2, placed, strict=True):
        assert torch.equal(copy.data, matrix.data) and copy.data.data_ptr() != matrix.data.data_ptr()
        assert (copy.layout, copy.rows, copy.columns) == (layout, matrix.rows, matrix.columns)
    assert all(bool((guard == 7).all()) for guard in guards)


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
@pytest.mark.parametrize("block", [1, 48, 1000, 5000])
def test_the_last_block_may_be_cut_short(block: int, threads: int) -> None:
    tensors = [torch.randint(256, (size,), dtype=torch.uint8) for size in (1, 999, 4096, 12345)]
    copies = native_ops.copy(tensors, [block] * len(tensors), Arena(threads))
    assert all(torch.equal(copy, tensor) for copy, tensor in zip(copies, tensors, strict=True))


def test_every_thread_writes_its_own_share_first(workers: list[Path], two_nodes: None) -> None:
    """13 blocks of 64 pages for 4 threads, cut at 3, 6 and 9: not where each of the three pieces would be cut."""
    block, sizes = 64 * mmap.PAGESIZE, (5, 2, 6)
    tensors = [torch.ones(blocks * block, dtype=torch.uint8) for blocks in sizes]
    before = faults(workers)
    copies = native_ops.copy(tensors, [block] * len(tensors), Arena(THREADS))
    assert since(workers, before) == [3 * 64, 3 * 64, 4 * 64]  # thread 0 is the caller
    assert all(torch.equal(copy, tensor) for copy, tensor in zip(copies, tensors, strict=True))


def test_the_head_lies_with_its_readers_too(workers: list[Path], two_nodes: None) -> None:
    before = faults(workers)
    Tables(THREADS).head(torch.randn(1024, 512), "float16")  # 256 pages
    assert since(workers, before) == [64, 64, 64]


@pytest.mark.parametrize("number", get_args(Number))
def test_where_weights_lie_changes_no_bit(number: Number, two_nodes: None) -> None:
    model = build(d_model=42, tie_embeddings=False, n_layers=1)
    alone, shared = (NativeDecoder(pack_model(model, head=number, threads=count), threads=count) for count in (1, 3))
    assert torch.equal(alone.forward([1, 2, 3], every=True), shared.forward([1, 2, 3], every=True))


@pytest.mark.parametrize("delta", [{}, {"pattern": "D", "n_heads": 4, "head_dim": 32}])
def test_the_decoders_threads_read_the_pages_that_they_wrote(
    delta: dict[str, object], workers: list[Path], two_nodes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights' pages are taken away, and each thread faults as often when it reads as when it wrote.

    Shares of these widths end where pages end. Keys, values and their like have fewer row blocks than there are threads.
    """
    memory: list[mmap.mmap] = []
    ask = mmap.mmap
    monkeypatch.setattr(mmap, "mmap", lambda *args, **more: memory.append(ask(*args, **more)) or memory[-1])
    model = build(d_model=512, d_ff=1024, n_heads=8, n_kv_heads=2, head_dim=64, n_layers=2, delta=delta)
    freeze(model)
    before = faults(workers)
    packed = pack_model(model, layout="t2", threads=THREADS)
    written = since(workers, before)
    decoder = NativeDecoder(packed, threads=THREADS)
    for _ in range(2):
        decoder.forward([1])
    for part in memory:
        part.madvise(mmap.MADV_DONTNEED)
    before = faults(workers)
    decoder.forward([1])
    assert since(workers, before) == written
