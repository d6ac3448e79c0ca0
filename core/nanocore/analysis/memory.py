"""Bytes of live tensors, counted from the tensors themselves."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor


def live_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the memory behind some tensors; what several of them share counts once."""
    storages = {(s := tensor.untyped_storage()).data_ptr(): s.nbytes() for tensor in tensors}
    return sum(storages.values())
