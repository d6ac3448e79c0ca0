"""The loops behind the benchmark do the work that they are paid for: every byte read, every matrix visited."""

from __future__ import annotations

import mmap
import resource

import pytest
import torch

from nanocore.bench.limits import natives
from nanokernels import native, probe
from nanokernels.packing import PackedTernary, pack
from nanokernels.paths import NativePath

pytestmark = pytest.mark.skipif(native.find().library is None, reason="no native kernels here")
SIZE = 8 << 20


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("path", natives())
def test_reading_touches_every_page(path: NativePath, threads: int) -> None:
    memory = mmap.mmap(-1, SIZE)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    data = torch.frombuffer(memory, dtype=torch.uint8)
    rotation = probe.Rotation([PackedTernary("t2", SIZE // 4096 * 64, 256, data, torch.ones(1, 1))])
    probe.read(probe.Rotation([probe.buffer(4096, threads)]), 1, path, threads)  # threads started, library loaded
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    probe.read(rotation, 1, path, threads)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before >= SIZE // mmap.PAGESIZE


@pytest.mark.parametrize("path", natives())
def test_matrices_are_visited_in_turn(path: NativePath) -> None:
    """Three matrices of 1, 2 and 3 times the identity: the last product tells which one was visited last."""
    matrices = [pack(torch.eye(8, dtype=torch.int8), torch.full((1, 1), float(factor))) for factor in (1, 2, 3)]
    rotation, x, y = probe.Rotation(matrices), torch.arange(8.0).unsqueeze(0), torch.empty(1, 8)
    last = []
    for visits in (1, 1, 2, 3, 5):
        probe.multiply(rotation, visits, path, 1, probe.quantised(x, path), y, None)
        last.append(round(float(y[0, 7]) / 7))
    assert last == [1, 2, 1, 1, 3]


@pytest.mark.parametrize("path", natives())
def test_tokens_are_quantised_anew_where_they_are_given(path: NativePath) -> None:
    rotation = probe.Rotation([pack(torch.eye(8, dtype=torch.int8), torch.ones(1, 1))])
    codes, y = probe.quantised(torch.zeros(2, 8), path), torch.empty(2, 8)
    probe.multiply(rotation, 1, path, 1, codes, y, None)
    assert not y.any()
    probe.multiply(rotation, 1, path, 1, codes, y, torch.ones(2, 8))
    assert torch.allclose(y, torch.ones(2, 8), atol=1e-6)


def test_a_round_counts_two_operations_for_each_byte_of_a_register() -> None:
    assert {path: probe.operations(path) for path in natives()}.items() <= {
        "avx512vnni": 12 * 2 * 64,
        "avxvnni": 12 * 2 * 32,
        "avx2": 12 * 2 * 32,
        "neon": 12 * 2 * 16,
        "scalar": 4 * 2 * 16,
    }.items()
    for path in natives():
        probe.dot(3, path, 2)
