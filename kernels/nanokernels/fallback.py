"""Ternary products in torch alone, for machines without a compiler: int8 weights, four times the bytes.

`int_matmul` takes `torch._int_mm` or float32, whichever is faster here; both are exact.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from nanokernels.int_matmul import int_matmul
from nanokernels.packing import PackedTernary, unpack

SMALLEST_SCALE = 1e-5
LARGEST_CODE = 127

_unpacked: WeakKeyDictionary[PackedTernary, Tensor] = WeakKeyDictionary()


def int_sums(codes: Tensor, packed: PackedTernary) -> Tensor:
    """Exact int32 sums (groups, N, M) of token codes (N, K) int8. The unpacked matrix is kept as long as the packed."""
    weights = _unpacked.get(packed)
    if weights is None:
        weights = _unpacked[packed] = unpack(packed)[0]
    width = packed.columns // packed.groups
    products = [
        int_matmul(part, weights[:, i * width : (i + 1) * width]) for i, part in enumerate(codes.split(width, 1))
    ]
    return torch.stack(products).to(torch.int32)


def ternary_linear(x: Tensor, packed: PackedTernary) -> Tensor:
    """y (N, M) float32 of tokens x (N, K) float32."""
    codes, scale = quantise(x)
    return rescale(int_sums(codes, packed), packed, scale)


def quantise(x: Tensor) -> tuple[Tensor, Tensor]:
    """Codes (N, K) int8 and scales (N, 1): absmax. A token with NaN or infinity gets codes 0 and scale NaN."""
    largest = x.abs().amax(dim=1, keepdim=True)
    finite = largest.isfinite()
    scale = (largest / LARGEST_CODE).clamp_(min=SMALLEST_SCALE / LARGEST_CODE)
    codes = (x * scale.reciprocal()).round_()
    return codes.where(finite, 0).to(torch.int8), scale.where(finite, torch.nan)


def rescale(sums: Tensor, packed: PackedTernary, token_scale: Tensor) -> Tensor:
    """y (N, M): sums (groups, N, M) times weight scales, added up, times token scales (N, 1)."""
    total = sums[0] * packed.scale[0]
    for group in range(1, packed.groups):
        total.add_(sums[group] * packed.scale[group])
    return total.mul_(token_scale)
