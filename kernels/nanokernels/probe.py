"""For benchmarks: what this machine does at most, and native products in a loop that costs nothing between them.

The calls return when the work is done; whoever calls looks at the clock. See csrc/probe.h.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, c_int32, c_int64, c_void_p
from functools import cache

import torch
from torch import Tensor

from nanokernels import native, native_ops
from nanokernels.arena import Arena
from nanokernels.native_ops import TokenCodes
from nanokernels.packing import PackedTernary
from nanokernels.paths import NativePath

BLOCK_COLUMNS = 256  # of what is only read: a row block is then 4 KiB


class _Rotation(ctypes.Structure):
    """nk_rotation."""

    _fields_ = [("matrices", POINTER(native.Matrix)), ("count", c_int32), ("first", c_int32), ("visits", c_int64)]


class Rotation:
    """Matrices of one shape that are visited in turn; the next visit goes on where the last one ended."""

    def __init__(self, matrices: Sequence[PackedTernary]) -> None:
        self.matrices = list(matrices)  # their memory must outlive the pointers
        self._pointers = (native.Matrix * len(self.matrices))(*map(native_ops.matrix, self.matrices))
        self._first = 0

    def visit(self, visits: int) -> _Rotation:
        """The nk_rotation of the next so many visits."""
        visit = _Rotation(self._pointers, len(self.matrices), self._first, visits)
        self._first = (self._first + visits) % len(self.matrices)
        return visit


def buffer(size: int, threads: int) -> PackedTernary:
    """About `size` bytes to be read, at least a row block for each thread, written by the threads that read it."""
    blocks = max(size // (BLOCK_COLUMNS * 16), threads)
    data = torch.zeros(blocks * BLOCK_COLUMNS * 16, dtype=torch.uint8)
    packed = PackedTernary("t2", blocks * 64, BLOCK_COLUMNS, data, torch.ones(1, 1))
    return native_ops.place([packed], Arena(threads, chunk=data.nbytes))[0]


def read(rotation: Rotation, visits: int, path: NativePath, threads: int, *, ahead: int = 0) -> None:
    """Read the packed data of so many matrices, `ahead` bytes prefetched, in the widest registers of the path."""
    _library().nk_probe_read(_isa(path), native_ops.pool(threads), rotation.visit(visits), ahead)


def dot(rounds: int, path: NativePath, threads: int) -> None:
    """The dot products of the path's inner loop on registers alone: so many rounds of `operations` on each thread."""
    _library().nk_probe_dot(_isa(path), native_ops.pool(threads), rounds)


def operations(path: NativePath) -> int:
    """Multiplications and additions of one round of `dot` on one thread."""
    return _library().nk_probe_operations(_isa(path))


def quantised(x: Tensor, path: NativePath) -> TokenCodes:
    """The codes of tokens x (N, K) float32 for matrices with one scale."""
    tokens = TokenCodes(len(x), x.shape[1], groups=1)
    _isa(path).contents.quantise(x.data_ptr(), x.shape[1], tokens.struct)
    return tokens


def multiply(
    rotation: Rotation, visits: int, path: NativePath, threads: int, tokens: TokenCodes, y: Tensor, x: Tensor | None
) -> None:
    """y (N, M) of each matrix in turn; where x (N, K) is given, it is quantised into `tokens` before each product."""
    visit, source = rotation.visit(visits), None if x is None else x.data_ptr()
    pool = native_ops.pool(threads)
    _library().nk_probe_multiply(_isa(path), pool, visit, source, tokens.struct, y.data_ptr())


def _isa(path: NativePath) -> ctypes._Pointer[native.Isa]:
    return _library().nk_find(path.encode())


@cache
def _library() -> ctypes.CDLL:
    library = native_ops.library()
    isa, rotation = POINTER(native.Isa), POINTER(_Rotation)
    library.nk_probe_read.restype, library.nk_probe_read.argtypes = None, [isa, c_void_p, rotation, c_int64]
    library.nk_probe_dot.restype, library.nk_probe_dot.argtypes = None, [isa, c_void_p, c_int64]
    library.nk_probe_operations.restype, library.nk_probe_operations.argtypes = c_int64, [isa]
    library.nk_probe_multiply.restype = None
    library.nk_probe_multiply.argtypes = [isa, c_void_p, rotation, c_void_p, POINTER(native.Tokens), c_void_p]
    return library
