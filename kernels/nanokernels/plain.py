"""The ternary product in torch alone: what training's forward computes, what every kernel must equal, and what runs
without a compiler, on int8 weights of four times the bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from nanokernels.int_matmul import int_matmul

LARGEST_CODE = 127
SMALLEST_SCALE = 1e-5 / LARGEST_CODE  # keeps an all-zero token from dividing by zero


class TokenCodes(NamedTuple):
    """`codes` (N, in), whole numbers in -127..127 held in float32; `scale` (N, 1) float32."""

    codes: Tensor
    scale: Tensor


def token_codes(x: Tensor) -> TokenCodes:
    """Absmax quantiser of each token: codes = round(x * 127 / max|x|), for x (N, in).

    No clip is needed: no |x| exceeds its own row's maximum.
    """
    x = x.float()
    largest = x.abs().amax(dim=-1, keepdim=True)  # (N, 1)
    # By a tensor: on CUDA dividing by a number multiplies by its reciprocal, which can be another float.
    scale = largest.div_(torch.full((), LARGEST_CODE, dtype=x.dtype, device=x.device)).clamp_(min=SMALLEST_SCALE)
    return TokenCodes((x * scale.reciprocal()).round_(), scale)


def scaled_product(tokens: TokenCodes, matrix: tuple[Tensor, Tensor], dtype: torch.dtype) -> Tensor:
    """Xq Wq^T (N, out): exact sums of products of codes, one for each scale group, then the scales.

    The matrix is codes (out, in) int8 and scale float32, (1, 1) or (out, groups).
    """
    codes, scale = matrix
    wide = torch.promote_types(dtype, torch.float32)
    scale = scale.to(wide)
    total: Tensor | None = None
    for group, sums in enumerate(group_sums(tokens.codes, codes, scale.shape[1])):
        sums = sums.to(wide)  # (N, out)
        total = sums.mul_(scale[:, group]) if total is None else total.addcmul_(sums, scale[:, group])
    assert total is not None
    return total.mul_(tokens.scale).to(dtype)


def group_sums(codes: Tensor, ternary: Tensor, groups: int) -> Iterator[Tensor]:
    """Exact sums (N, out) float32 of token codes (N, in) times (out, in) int8, for each of the groups of columns."""
    columns = ternary.shape[1] // groups
    for group in range(groups):
        part = slice(group * columns, (group + 1) * columns)
        yield int_matmul(codes[:, part], ternary[:, part])
