"""Calls of the C library on torch tensors. The callers have checked shapes and that the path runs here."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from nanokernels import native
from nanokernels.arena import Arena
from nanokernels.packing import QUAD, PackedTernary
from nanokernels.paths import NativePath
from nanokernels.tuned_file import cpus

SMALLEST_LIMIT = 64

_pools: dict[int, int] = {}  # by number of threads
_pools_lock = threading.Lock()


def _after_fork() -> None:
    """A child starts its own pools: it has no threads of its parent, and the lock may have been held by one of them."""
    global _pools_lock
    _pools_lock = threading.Lock()
    _pools.clear()


os.register_at_fork(after_in_child=_after_fork)


class TokenCodes:
    """Room for the codes of some tokens, and the nk_tokens that points to it."""

    def __init__(self, count: int, columns: int, groups: int) -> None:
        stride = -(-columns // QUAD) * QUAD
        self.codes = torch.zeros(count, stride, dtype=torch.int8)
        self.scales = torch.empty(count)
        self.sums = torch.empty(count, groups, dtype=torch.int32)
        arrays = [array.data_ptr() for array in (self.codes, self.scales, self.sums)]
        self.struct = native.Tokens(*arrays, count, columns, groups, stride)


def library() -> ctypes.CDLL:
    """The library, which must be there."""
    found = native.find().library
    assert found is not None
    return found


def matrix(packed: PackedTernary) -> native.Matrix:
    """The nk_matrix that points to a packed matrix, which must outlive it."""
    groups = 0 if packed.scale.numel() == 1 else packed.groups
    pointers = packed.data.data_ptr(), packed.scale.data_ptr()
    return native.Matrix(*pointers, packed.rows, packed.columns, groups, native.LAYOUTS[packed.layout])


def int_sums(codes: Tensor, packed: PackedTernary, path: NativePath, threads: int) -> Tensor:
    """Exact sums (groups, N, M) int32 of token codes (N, K) int8."""
    tokens = TokenCodes(len(codes), packed.columns, packed.groups)
    tokens.codes[:, : packed.columns] = codes
    lib = library()
    lib.nk_sum_codes(tokens.struct)
    out = torch.empty(packed.groups, len(codes), packed.rows, dtype=torch.int32)
    lib.nk_int_sums_all(lib.nk_find(path.encode()), pool(threads), matrix(packed), tokens.struct, out.data_ptr())
    return out


def ternary_linear(x: Tensor, packed: PackedTernary, path: NativePath, threads: int) -> Tensor:
    """y (N, M) float32 of tokens x (N, K) float32."""
    tokens, isa = quantised(x, path, packed.groups)
    return multiply(tokens, packed, isa, threads)


def multiply(tokens: TokenCodes, packed: PackedTernary, isa: ctypes._Pointer[native.Isa], threads: int) -> Tensor:
    """y (N, M) float32 of quantised tokens: exact sums, scaled."""
    y = torch.empty(len(tokens.codes), packed.rows)
    library().nk_multiply_all(isa, pool(threads), matrix(packed), tokens.struct, y.data_ptr(), packed.rows)
    return y


def quantise(x: Tensor, path: NativePath) -> tuple[Tensor, Tensor]:
    """Codes (N, K) int8 and scales (N,) of tokens x (N, K) float32."""
    tokens, _ = quantised(x, path)
    return tokens.codes[:, : x.shape[1]], tokens.scales


def quantised(x: Tensor, path: NativePath, groups: int = 1) -> tuple[TokenCodes, ctypes._Pointer[native.Isa]]:
    """Tokens x (N, K) float32 as codes, with sums over so many groups of columns; and the path's functions."""
    x = x.contiguous()
    tokens = TokenCodes(len(x), x.shape[1], groups)
    isa = library().nk_find(path.encode())
    isa.contents.quantise(x.data_ptr(), x.shape[1], tokens.struct)
    return tokens, isa


def place(matrices: Sequence[PackedTernary], arena: Arena) -> list[PackedTernary]:
    """Copies in an arena, written by its threads. Matrices that a product shares out as one are given together."""
    data = copy([each.data for each in matrices], [each.data.nbytes // each.blocks for each in matrices], arena)
    return [replace(each, data=own) for each, own in zip(matrices, data, strict=True)]


def copy(tensors: Sequence[Tensor], block_bytes: Sequence[int], arena: Arena) -> list[Tensor]:
    """Bytes of contiguous tensors in an arena, each thread of which writes the blocks that are its own when all are one."""
    rooms = [arena.room(tensor.nbytes) for tensor in tensors]
    parts = zip(tensors, rooms, block_bytes, strict=True)
    pieces = [native.Piece(tensor.data_ptr(), room.data_ptr(), size, tensor.nbytes) for tensor, room, size in parts]
    library().nk_place(pool(arena.threads), (native.Piece * len(pieces))(*pieces), len(pieces))
    return rooms


def pool(threads: int) -> int | None:
    """The address of a nk_pool with so many threads, shared by all callers; None for one thread.

    Raises ValueError for fewer than 1 or more than `most_threads`, and OSError where the system gives none.
    """
    if threads == 1:
        return None
    return _pools.get(threads) or _started(threads)


def most_threads() -> int:
    """No more than the CPUs can do anything; some more are let through, so that one script serves many machines."""
    return max(SMALLEST_LIMIT, cpus())


def _started(threads: int) -> int:
    if not 1 < threads <= most_threads():
        raise ValueError(f"threads: {threads} is not between 1 and {most_threads()}")
    with _pools_lock:
        if threads not in _pools:
            made = library().nk_pool_new(threads)
            if not made:
                raise OSError(f"{threads} threads could not be started")
            _pools[threads] = made
        return _pools[threads]
