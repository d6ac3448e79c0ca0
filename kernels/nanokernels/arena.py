"""Memory in large pages for weights that are streamed through at every token: fewer address translations, longer prefetch."""

from __future__ import annotations

import mmap
from contextlib import suppress

import torch
from torch import Tensor

CHUNK = 64 << 20  # bytes asked for at once; the system gives what is written
LINE = 64  # bytes of a cache line, and of a line of packed weights


class Arena:
    """Room for tensors side by side in large pages, where the system has them; else in ordinary ones."""

    def __init__(self) -> None:
        self._rest = torch.empty(0, dtype=torch.uint8)

    def room(self, nbytes: int) -> Tensor:
        """So many bytes, behind those given before, at a multiple of 64."""
        needed = -(-nbytes // LINE) * LINE
        if needed > len(self._rest):
            self._rest = _large_pages(max(needed, CHUNK))
        place, self._rest = self._rest[:nbytes], self._rest[needed:]
        return place


def _large_pages(size: int) -> Tensor:
    memory = mmap.mmap(-1, size)
    with suppress(AttributeError, OSError):  # a system without them
        memory.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(memory, dtype=torch.uint8)  # keeps the memory as long as any part of it is in use
