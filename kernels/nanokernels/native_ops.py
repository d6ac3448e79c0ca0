"""Calls of the C library on torch tensors. The callers have checked shapes and that the path runs here."""

from __future__ import annotations

import ctypes
import os
import threading

import torch
from torch import Tensor

from nanokernels import native
from nanokernels.packing import QUAD, PackedTernary
from nanokernels.paths import NativePath

_pools: dict[tuple[int, int], int] = {}  # by process and threads: a forked child starts its own
_pools_lock = threading.Lock()


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


def place(packed: PackedTernary, copy: Tensor, threads: int) -> PackedTernary:
    """The matrix in untouched memory of its size: each of so many threads writes what it will read, on its NUMA node."""
    library().nk_place(pool(threads), matrix(packed), copy.data_ptr())
    return PackedTernary(packed.layout, packed.rows, packed.columns, copy, packed.scale)


def pool(threads: int) -> int | None:
    """The address of a nk_pool with so many threads, shared by all callers; None for one thread."""
    if threads <= 1:
        return None
    with _pools_lock:
        key = os.getpid(), threads
        if key not in _pools:
            made = library().nk_pool_new(threads)
            if not made:
                raise OSError(f"{threads} threads could not be started")
            _pools[key] = made
        return _pools[key]
