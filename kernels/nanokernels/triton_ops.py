"""The quantisers and the scaling of ternary training, as Triton kernels: the face that the training core calls.

What each function replaces in `nanocore.model` on a GPU, bit for bit:

    token_codes   plain.token_codes       two passes over x instead of six; codes come as int8, not float32
    weight_codes  quantise.weight_codes   one pass over W instead of four; the scale is torch's, whose sums no other way repeats
    scale_sums    ternary_products.scaled_product's scaling of one group's sums: one pass instead of four
    dequantise    ternary_products.dequantised: straight to the gradient's dtype

Every function raises Unavailable with the reason where Triton cannot run (`triton_language.unavailable` asks beforehand) and
ValueError for float64, which is left to torch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nanokernels import triton_product, triton_quantise
from nanokernels.triton_language import launch, power_of_two
from nanokernels.triton_planes import MULTIPLE

FLOATS = (torch.float32, torch.bfloat16, torch.float16)
WIDEST = 2048  # columns that one step of a loop takes


def token_codes(x: Tensor) -> tuple[Tensor, Tensor]:
    """Absmax codes int8 (N, K) of x (N, K) and their scale float32 (N, 1)."""
    codes = torch.empty(x.shape, dtype=torch.int8, device=x.device)
    scale, _ = _quantise_tokens(x, codes, groups=1, width=x.shape[1], padded=x.shape[1])
    return codes, scale


def padded_token_codes(x: Tensor, groups: int) -> tuple[Tensor, Tensor, Tensor]:
    """The codes of x (N, K) as the packed product reads them.

    Codes int8 (N, groups * 4 * plane) with zeros behind each group, scale float32 (N, 1), and `plane_offsets` int32
    (N, groups).
    """
    width = x.shape[1] // groups
    padded = width + -width % MULTIPLE
    codes = torch.empty((x.shape[0], groups * padded), dtype=torch.int8, device=x.device)
    scale, offsets = _quantise_tokens(x, codes, groups=groups, width=width, padded=padded, with_offsets=True)
    return codes, scale, offsets


def _quantise_tokens(
    x: Tensor, codes: Tensor, *, groups: int, width: int, padded: int, with_offsets: bool = False
) -> tuple[Tensor, Tensor]:
    tokens, columns = x.shape
    x = _float(x)
    scale = torch.empty((tokens, 1), dtype=torch.float32, device=x.device)
    offsets = torch.empty((tokens if with_offsets else 0, groups), dtype=torch.int32, device=x.device)
    block = power_of_two(min(padded, WIDEST))
    launch(
        triton_quantise.token_codes, (tokens,), x, codes, scale, offsets, columns, groups, width, padded,
        OFFSETS=with_offsets, GROUPS=power_of_two(min(groups, WIDEST // block)), BLOCK=block,
        READ=power_of_two(min(columns, WIDEST)),
    )  # fmt: skip
    return scale, offsets


def weight_codes(weight: Tensor, scale: Tensor) -> Tensor:
    """Absmean codes int8 (out, in) of a weight, for its scale float32: (1, 1) or (out, groups)."""
    weight = _float(weight)
    codes = torch.empty(weight.shape, dtype=torch.int8, device=weight.device)
    _tiled(triton_quantise.weight_codes, weight, scale, codes)
    return codes


def dequantise(codes: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """codes int8 (R, C) times scale float32, (1, 1), (R, 1) or (R, groups), rounded once to dtype."""
    _supported(dtype)
    out = torch.empty(codes.shape, dtype=dtype, device=codes.device)
    _tiled(triton_quantise.dequantise, codes.contiguous(), scale, out)
    return out


def _tiled(kernel: Any, given: Tensor, scale: Tensor, out: Tensor) -> None:
    """Run a kernel that makes each value of `out` (R, C) of the one of `given` and its scale."""
    rows, columns = out.shape
    row_scales = scale.shape[1] if scale.shape[0] == rows else 0
    block = power_of_two(min(columns, WIDEST))
    at_once = 2 * WIDEST // block
    launch(
        kernel, (-(-rows // at_once), -(-columns // block)), given, scale.contiguous(), out, rows, columns, row_scales,
        columns // scale.shape[1], GROUPED=scale.shape[1] > 1, ROWS=at_once, COLUMNS=block,
    )  # fmt: skip


def scale_sums(sums: Tensor, weight_scale: Tensor, token_scale: Tensor, dtype: torch.dtype) -> Tensor:
    """y (N, M) = sums (N, M) int32 * weight_scale (1, 1) * token_scale (N, 1), in float32, rounded once to dtype."""
    sums = sums if sums.stride(1) == 1 else sums.contiguous()
    return add_and_scale(sums[None], weight_scale, token_scale, dtype)


def add_and_scale(sums: Tensor, weight_scale: Tensor | None, token_scale: Tensor, dtype: torch.dtype) -> Tensor:
    """`scale_sums` of (splits, N, M) sums; without `weight_scale` they are float32 and hold the weight's scales already."""
    splits, tokens, rows = sums.shape
    _supported(dtype)
    out = torch.empty((tokens, rows), dtype=dtype, device=sums.device)
    block = power_of_two(min(rows, WIDEST))
    launch(
        triton_product.scale_sums, (tokens, -(-rows // block)), sums, sums.stride(1),
        token_scale if weight_scale is None else weight_scale, token_scale, out, rows, tokens, splits,
        GROUPED=weight_scale is None, BLOCK=block,
    )  # fmt: skip
    return out


def _float(x: Tensor) -> Tensor:
    _supported(x.dtype)
    return x.contiguous()


def _supported(dtype: torch.dtype) -> None:
    if dtype not in FLOATS:
        raise ValueError(f"{dtype} is left to torch")
