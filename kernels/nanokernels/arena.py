"""Memory in large pages for weights that are streamed through at every token: fewer address translations, longer prefetch."""

from __future__ import annotations

import mmap
from contextlib import suppress

import torch
from torch import Tensor

CHUNK = 64 << 20  # bytes asked for at once; the system gives what is written
LINE = 64  # bytes of a cache line, and of a line of packed weights


class Arena:
    """Copies tensors side by side into large pages, where the system has them; else into ordinary ones."""

    def __init__(self) -> None:
        self._rest = torch.empty(0, dtype=torch.uint8)

    def copy(self, tensor: Tensor) -> Tensor:
        """The same values at an address that is a multiple of 64, behind those of the copy before."""
        needed = -(-tensor.nbytes // LINE) * LINE
        if needed > len(self._rest):
            self._rest = _large_pages(max(needed, CHUNK))
        place, self._rest = self._rest[: tensor.nbytes], self._rest[needed:]
        place.copy_(tensor.contiguous().view(-1).view(torch.uint8))
        return place.view(tensor.dtype).view(tensor.shape)


def _large_pages(size: int) -> Tensor:
    memory = mmap.mmap(-1, size)
    with suppress(AttributeError, OSError):  # a system without them
        memory.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(memory, dtype=torch.uint8)  # keeps the memory as long as any part of it is in use
