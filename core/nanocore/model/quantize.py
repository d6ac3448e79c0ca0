"""The two quantisers of BitNet b1.58 (arXiv 2402.17764): ternary weights and 8-bit activations.

Both work in float32 whatever the dtype of their input, because a code decided in bfloat16 is another code. Codes are
whole numbers; what they stand for is code times scale.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nanokernels import training_gpu

SMALLEST_SCALE = 1e-5  # keeps an all-zero matrix or token from dividing by zero
LARGEST_CODE = 127


class TernaryWeight(NamedTuple):
    """`codes` (out, in) int8 in {-1, 0, 1}; `scale` float32, (1, 1), or (out, groups) for groups of input columns."""

    codes: Tensor
    scale: Tensor

    def dequantise(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The matrix (out, in) the codes stand for: multiplied in float32 or wider, then rounded to dtype."""
        wide = torch.promote_types(dtype, torch.float32)
        grouped = self.codes.unflatten(1, (self.scale.shape[1], -1)).to(wide)  # (out, groups, columns)
        return grouped.mul_(self.scale.unsqueeze(-1)).flatten(1).to(dtype)


class TokenCodes(NamedTuple):
    """`codes` (N, in), whole numbers in -127..127 held in float32; `scale` (N, 1) float32."""

    codes: Tensor
    scale: Tensor


def ternary_weight(weight: Tensor, group_size: int = 0) -> TernaryWeight:
    """Absmean quantiser: codes = clip(round(W / mean|W|), -1, 1), scale = mean|W|.

    The mean is over the whole matrix, or over each `group_size` columns of each row. The scale is the mean itself, also
    where it is too small to divide by. All ways to the codes give the same ones; a kernel is taken where it is faster.
    """
    if group_size:
        scale = weight.float().unflatten(1, (-1, group_size)).abs().mean(dim=-1)  # (out, groups)
    else:
        scale = weight.float().abs().mean().view(1, 1)
    if training_gpu.quantises(weight, weight_codes):
        return TernaryWeight(training_gpu.weight_codes(weight, scale), scale)
    return TernaryWeight(weight_codes(weight, scale), scale)


def weight_codes(weight: Tensor, scale: Tensor) -> Tensor:
    """Codes (out, in) int8 for scales (1, 1) or (out, groups), in torch: what every other way must equal."""
    grouped = weight.float().unflatten(1, (scale.shape[1], -1))  # (out, groups, columns)
    codes = (grouped / scale.clamp(min=SMALLEST_SCALE).unsqueeze(-1)).round_().clamp_(-1, 1)
    return codes.flatten(1).to(torch.int8)


def token_codes(x: Tensor) -> TokenCodes:
    """Absmax quantiser of each token: codes = round(x * 127 / max|x|), for x (N, in).

    No clip is needed: no |x| exceeds its own row's maximum.
    """
    x = x.float()
    largest = x.abs().amax(dim=-1, keepdim=True)  # (N, 1)
    # By a tensor: on CUDA dividing by a number multiplies by its reciprocal, which can be another float.
    scale = largest.div_(torch.full((), LARGEST_CODE, dtype=x.dtype, device=x.device)).clamp_(
        min=SMALLEST_SCALE / LARGEST_CODE
    )
    return TokenCodes((x * scale.reciprocal()).round_(), scale)
