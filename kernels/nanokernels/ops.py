"""Products of tokens with packed ternary matrices: the public face of the kernels.

Without a choice of the caller the path is the best instruction set of this CPU, or Triton on a GPU; and the thread is one.
"""

from __future__ import annotations

from typing import cast
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from nanokernels import native_ops, plain, reference
from nanokernels.arena import Arena
from nanokernels.packing import PackedTernary, unpack
from nanokernels.paths import NATIVE, NativePath, Path, active_path, available_paths, runnable, unavailable_paths
from nanokernels.triton_planes import Planes, pack_planes

__all__ = ["Path", "active_path", "available_paths", "int_sums", "place", "ternary_linear", "unavailable_paths"]

_planes: WeakKeyDictionary[PackedTernary, Planes] = WeakKeyDictionary()
_matrices: WeakKeyDictionary[PackedTernary, tuple[Tensor, Tensor]] = WeakKeyDictionary()


def int_sums(codes: Tensor, packed: PackedTernary, *, path: Path | None = None, threads: int = 1) -> Tensor:
    """Exact sums (groups, N, M) int32 of token codes (N, K) int8, before any scale.

    Raises ValueError for a path that cannot run here, tokens that do not fit or a number of threads that makes no sense.
    """
    _check(codes, packed, torch.int8, threads)
    path = runnable(path or active_path(codes.device), codes.device)
    if path in NATIVE:
        return native_ops.int_sums(codes, packed, cast(NativePath, path), threads)
    if path == "triton":
        from nanokernels import triton_linear  # slow to import, and of no use without a GPU

        return triton_linear.int_sums(codes, planes(packed))
    if path == "torch":
        return torch.stack(list(plain.group_sums(codes, matrix(packed)[0], packed.groups))).to(torch.int32)
    sums = reference.int_sums(codes.numpy(), matrix(packed)[0].numpy(), packed.groups)
    return torch.from_numpy(sums.astype(np.int32))


def ternary_linear(x: Tensor, packed: PackedTernary, *, path: Path | None = None, threads: int = 1) -> Tensor:
    """y (N, M) float32 of tokens x (N, K) float32: quantised to 8 bits per token, multiplied exactly, scaled.

    A token that holds NaN or infinity gives NaN throughout. `threads` is for the native paths; the others follow torch.
    Raises ValueError for a path that cannot run here, tokens that do not fit or a number of threads that makes no sense.
    """
    _check(x, packed, torch.float32, threads)
    return linear(x, packed, runnable(path or active_path(x.device), x.device), threads)


def linear(x: Tensor, packed: PackedTernary, path: Path, threads: int) -> Tensor:
    """`ternary_linear` on a path that is known to run here."""
    if path in NATIVE:
        return native_ops.ternary_linear(x, packed, cast(NativePath, path), threads)
    if path == "triton":
        from nanokernels import triton_linear

        return triton_linear.ternary_linear(x, planes(packed))
    if path == "torch":
        return plain.scaled_product(plain.token_codes(x), matrix(packed), torch.float32)
    codes, scale = reference.quantise_tokens(x.numpy())
    sums = reference.int_sums(codes, matrix(packed)[0].numpy(), packed.groups)
    return torch.from_numpy(reference.scaled(sums, packed.scale.numpy(), scale))


def matrix(packed: PackedTernary) -> tuple[Tensor, Tensor]:
    """Codes (M, K) int8 and scale as torch multiplies them, made once and kept as long as `packed`."""
    if packed not in _matrices:
        _matrices[packed] = unpack(packed)
    return _matrices[packed]


def place(packed: PackedTernary, threads: int) -> PackedTernary:
    """A copy that so many native threads write together, as they will read it."""
    runnable("scalar", packed.data.device)
    return native_ops.place([packed], Arena(threads, chunk=packed.data.nbytes))[0]


def planes(packed: PackedTernary) -> Planes:
    """The matrix as Triton's kernels read it, made once and kept as long as `packed`."""
    if packed not in _planes:
        _planes[packed] = pack_planes(*unpack(packed))
    return _planes[packed]


def _check(tokens: Tensor, packed: PackedTernary, dtype: torch.dtype, threads: int) -> None:
    if not 1 <= threads <= native_ops.most_threads():
        raise ValueError(f"threads: {threads} is not between 1 and {native_ops.most_threads()}")
    device = packed.data.device
    if tokens.ndim != 2 or tokens.shape[1] != packed.columns or tokens.dtype != dtype or tokens.device != device:
        got = f"{tuple(tokens.shape)} {tokens.dtype} on {tokens.device}"
        raise ValueError(f"tokens: (N, {packed.columns}) {dtype} on {device} is needed, got {got}")
