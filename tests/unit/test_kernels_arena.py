"""Tensors copied into one piece of memory: the same values, aligned, apart from each other, alive without the arena."""

from __future__ import annotations

import gc
import itertools

import pytest
import torch

from nanokernels import arena
from nanokernels.arena import Arena


def test_copies_hold_the_values_at_aligned_addresses_side_by_side() -> None:
    tensors = [torch.arange(n, dtype=torch.uint8) for n in (1, 64, 65)] + [torch.linspace(0, 1, 12).view(3, 4)]
    made, place = [], Arena()
    for tensor in tensors:
        made.append(place.copy(tensor))
    del place
    gc.collect()
    assert all(torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(made, tensors, strict=True))
    starts = [copy.data_ptr() for copy in made]
    assert all(start % 64 == 0 for start in starts)
    assert [after - before for before, after in itertools.pairwise(starts)] == [64, 64, 128]


def test_what_does_not_fit_gets_new_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arena, "CHUNK", 4096)
    place = Arena()
    first, large = place.copy(torch.ones(4000, dtype=torch.uint8)), place.copy(torch.ones(9000, dtype=torch.uint8))
    large.zero_()
    assert first.sum() == 4000
