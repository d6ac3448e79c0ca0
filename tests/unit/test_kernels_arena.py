"""Room in one piece of memory: aligned, side by side, apart from each other, alive without the arena."""

from __future__ import annotations

import gc
import itertools

import pytest

from nanokernels import arena
from nanokernels.arena import Arena


def test_rooms_lie_side_by_side_at_aligned_addresses_and_outlive_the_arena() -> None:
    place = Arena()
    rooms = [place.room(size) for size in (1, 64, 65, 12)]
    del place
    gc.collect()
    for number, room in enumerate(rooms):
        room.fill_(number + 1)
    assert [int(room.sum()) for room in rooms] == [1, 128, 195, 48]
    starts = [room.data_ptr() for room in rooms]
    assert all(start % 64 == 0 for start in starts)
    assert [after - before for before, after in itertools.pairwise(starts)] == [64, 64, 128]


def test_what_does_not_fit_gets_new_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arena, "CHUNK", 4096)
    place = Arena()
    first, large = place.room(4000).fill_(1), place.room(9000)
    large.zero_()
    assert first.sum() == 4000
