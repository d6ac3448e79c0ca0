"""Room in one piece of memory: aligned, side by side, apart from each other, alive without the arena, in fitting pages."""

from __future__ import annotations

import gc
import itertools
import os
import re
from pathlib import Path

import pytest

from nanokernels import nodes
from nanokernels.arena import Arena


def test_rooms_lie_side_by_side_at_aligned_addresses_and_outlive_the_arena() -> None:
    place = Arena(threads=1)
    rooms = [place.room(size) for size in (1, 64, 65, 12)]
    del place
    gc.collect()
    for number, room in enumerate(rooms):
        room.fill_(number + 1)
    assert [int(room.sum()) for room in rooms] == [1, 128, 195, 48]
    starts = [room.data_ptr() for room in rooms]
    assert all(start % 64 == 0 for start in starts)
    assert [after - before for before, after in itertools.pairwise(starts)] == [64, 64, 128]


def test_what_does_not_fit_gets_new_memory() -> None:
    place = Arena(threads=1, chunk=4096)
    first, large = place.room(4000).fill_(1), place.room(9000)
    large.zero_()
    assert first.sum() == 4000


def machine(folder: Path, **cpus: set[int]) -> Path:
    """A machine as the system describes it: CPUs of each node."""
    for node, numbers in cpus.items():
        (folder / node).mkdir(parents=True)
        for cpu in numbers:
            (folder / node / f"cpu{cpu}").mkdir()
    return folder


def test_nodes_are_those_of_the_cpus_that_may_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpus = {"node0": {0, 2}, "node1": {1, 3}, "node2": {14}, "node3": set()}  # the last has memory alone
    monkeypatch.setattr(nodes, "NODES", machine(tmp_path, **cpus))
    for allowed, expected in [({0, 2}, 1), ({2, 3}, 2), ({0, 1, 14}, 3), ({99}, 1)]:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, allowed=allowed: allowed)
        assert nodes.nodes() == expected
    monkeypatch.setattr(nodes, "NODES", tmp_path / "nowhere")
    assert nodes.nodes() == 1


@pytest.mark.skipif(not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="no large pages here")
@pytest.mark.parametrize(("threads", "count", "asked"), [(4, 1, "hg"), (1, 2, "hg"), (4, 2, "nh")])
def test_threads_on_several_nodes_get_small_pages(
    threads: int, count: int, asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpus = {f"node{node}": os.sched_getaffinity(0) for node in range(count)}
    monkeypatch.setattr(nodes, "NODES", machine(tmp_path, **cpus))
    room = Arena(threads).room(100)
    assert asked in flags_of(room.data_ptr())


def flags_of(address: int) -> list[str]:
    """What the system says of the memory there."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            begin, end = (int(part, 16) for part in line.split()[0].split("-"))
            inside = begin <= address < end
        elif inside and line.startswith("VmFlags:"):
            return line.split()[1:]
    raise AssertionError("no such memory")
