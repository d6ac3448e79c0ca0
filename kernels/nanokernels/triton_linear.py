"""Products with a packed ternary matrix on the GPU: exact sums, and the whole linear map of inference."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from nanokernels import triton_product
from nanokernels.triton_language import launch, triton
from nanokernels.triton_ops import FLOATS, add_and_scale, padded_token_codes
from nanokernels.triton_planes import Planes, pad_groups, plane_offsets
from nanokernels.triton_tune import Blocks, blocks_for, candidates, fastest, processors, remember, share


def int_sums(codes: Tensor, planes: Planes, blocks: Blocks | None = None) -> Tensor:
    """Exact sums int32 (groups, N, M) of codes int8 (N, K) times the packed matrix, each group of columns by itself."""
    _fits(codes, planes)
    padded = pad_groups(codes, planes.groups)
    offsets = plane_offsets(padded, planes.groups)
    width = padded.shape[1] // planes.groups
    return torch.stack([
        _group_sums(planes, group, padded[:, group * width :], offsets[:, group : group + 1].contiguous(), blocks)
        for group in range(planes.groups)
    ])  # fmt: skip


def _fits(x: Tensor, planes: Planes) -> None:
    if x.ndim != 2 or x.shape[1] != planes.columns:
        raise ValueError(f"{tuple(x.shape)} does not fit a matrix of {planes.columns} columns")


def _group_sums(planes: Planes, group: int, padded: Tensor, offsets: Tensor, blocks: Blocks | None) -> Tensor:
    """The sums of one group (N, M), as if its bytes were the whole matrix."""
    one = planes.scale.new_ones(1, 1)
    data = planes.data[:, group * planes.plane : (group + 1) * planes.plane]
    alone = Planes(planes.rows, planes.width, 1, data, one)
    sums = _product(alone, padded, offsets, one, torch.int32, blocks or blocks_for(alone, padded.shape[0]))
    return sums.sum(dim=0, dtype=torch.int32)


def ternary_linear(
    x: Tensor, planes: Planes, *, dtype: torch.dtype | None = None, blocks: Blocks | None = None
) -> Tensor:
    """x (N, K) quantised per token, times the packed matrix transposed: (N, M) in `dtype`, else in that of x.

    Raises Unavailable where Triton cannot run and ValueError for float64.
    """
    _fits(x, planes)
    codes, token_scale, offsets = padded_token_codes(x, planes.groups)
    return scaled_product(codes, token_scale, offsets, planes, dtype=dtype or x.dtype, blocks=blocks)


def scaled_product(
    codes: Tensor,
    token_scale: Tensor,
    offsets: Tensor,
    planes: Planes,
    *,
    dtype: torch.dtype,
    blocks: Blocks | None = None,
) -> Tensor:
    """What `padded_token_codes` gives times the packed matrix: (N, M). Several matrices can share one input's codes."""
    if dtype not in FLOATS:
        raise ValueError(f"{dtype} is left to torch")
    out = _product(planes, codes, offsets, token_scale, dtype, blocks or blocks_for(planes, codes.shape[0]))
    if out.shape[0] == 1:
        return out[0]
    return add_and_scale(out, None if planes.grouped else planes.scale, token_scale, dtype)


def tune(planes: Planes, tokens: int) -> Blocks:
    """Time the candidates for this shape and number of tokens on the GPU, and remember the fastest."""
    device = planes.data.device
    x = torch.randn(tokens, planes.columns, device=device)
    codes, token_scale, offsets = padded_token_codes(x, planes.groups)

    def seconds(blocks: Blocks) -> float:
        """do_bench empties the L2 cache before each run, as the other matrices of a model do."""
        try:
            return triton.testing.do_bench(
                lambda: scaled_product(codes, token_scale, offsets, planes, dtype=x.dtype, blocks=blocks),
                warmup=5, rep=20, return_mode="median",
            )  # fmt: skip
        except triton.runtime.errors.TritonError:  # too much shared memory or too many registers
            return math.inf

    best = fastest(candidates(planes, tokens, processors(device)), seconds)
    remember(planes, tokens, best)
    return best


def _product(
    planes: Planes, codes: Tensor, offsets: Tensor, token_scale: Tensor, dtype: torch.dtype, blocks: Blocks
) -> Tensor:
    """One launch of the kernel: (splits, N, M).

    With one split and a float dtype this is the scaled product; otherwise int32 sums, or, with group scales, float32 sums
    that hold the weight's scales but not the tokens'.
    """
    tokens = codes.shape[0]
    each, splits = share(planes, blocks)
    scaled = splits == 1 and dtype != torch.int32
    kind: Any = dtype if scaled else torch.float32 if planes.grouped else torch.int32
    out = torch.empty((splits, tokens, planes.rows), dtype=kind, device=codes.device)
    grid = (-(-planes.rows // blocks.rows), -(-tokens // blocks.tokens), splits)
    launch(
        triton_product.ternary_product, grid, planes.data, planes.data.stride(0), codes, codes.stride(0), offsets,
        planes.scale, token_scale, out, planes.rows, tokens, planes.plane, planes.groups, each,
        ROWS=blocks.rows, TOKENS=blocks.tokens, BYTES=blocks.bytes, GROUPED=planes.grouped, SCALED=scaled,
        num_warps=blocks.warps, num_stages=blocks.stages,
    )  # fmt: skip
    return out
