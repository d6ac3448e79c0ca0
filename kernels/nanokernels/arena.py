"""Memory for weights that threads stream through at every token: in large pages, or in small ones, each near its reader.

A page lies on the node of the thread that writes it first. One of 2 MiB holds the shares of several threads, so where
they may run on several nodes ordinary pages are asked for; else large ones, for fewer address translations and longer
prefetches.
"""

from __future__ import annotations

import mmap
from contextlib import suppress

import torch
from torch import Tensor

from nanokernels.nodes import nodes

CHUNK = 64 << 20  # bytes asked for at once; the system gives what is written
LINE = 64  # bytes of a cache line, and of a line of packed weights


class Arena:
    """Room for tensors side by side, which nobody has written to and so many threads will read.

    `parted` says whether they may run on several nodes, so that it matters who writes a page first.
    """

    def __init__(self, threads: int, chunk: int = CHUNK) -> None:
        self.threads, self._chunk = threads, chunk
        self.parted = threads > 1 and nodes() > 1
        self._rest = torch.empty(0, dtype=torch.uint8)

    def room(self, nbytes: int) -> Tensor:
        """So many bytes, behind those given before, at a multiple of 64."""
        needed = -(-nbytes // LINE) * LINE
        if needed > len(self._rest):
            self._rest = _pages(max(needed, self._chunk), large=not self.parted)
        place, self._rest = self._rest[:nbytes], self._rest[needed:]
        return place


def _pages(size: int, *, large: bool) -> Tensor:
    """Private memory: systems that give large pages to it when asked often do not to shared memory."""
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(AttributeError, OSError):  # a system without large pages
        memory.madvise(mmap.MADV_HUGEPAGE if large else mmap.MADV_NOHUGEPAGE)
    return torch.frombuffer(memory, dtype=torch.uint8)  # keeps the memory as long as any part of it is in use
