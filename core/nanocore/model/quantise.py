"""The weight quantiser of BitNet b1.58 (arXiv 2402.17764); that of the activations is `nanokernels.plain.token_codes`.

It works in float32 whatever the dtype of its input, because a code decided in bfloat16 is another code. Codes are
whole numbers; what they stand for is code times scale.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nanokernels import training_gpu

DIVISOR_FLOOR = 1e-5  # keeps a matrix of zeros from dividing by zero; the scale itself stays what it is


class TernaryWeight(NamedTuple):
    """`codes` (out, in) int8 in {-1, 0, 1}; `scale` float32, (1, 1), or (out, groups) for groups of input columns."""

    codes: Tensor
    scale: Tensor

    def dequantise(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The matrix (out, in) the codes stand for: multiplied in float32 or wider, then rounded to dtype."""
        wide = torch.promote_types(dtype, torch.float32)
        grouped = self.codes.unflatten(1, (self.scale.shape[1], -1)).to(wide)  # (out, groups, columns)
        return grouped.mul_(self.scale.unsqueeze(-1)).flatten(1).to(dtype)


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
    codes = (grouped / scale.clamp(min=DIVISOR_FLOOR).unsqueeze(-1)).round_().clamp_(-1, 1)
    return codes.flatten(1).to(torch.int8)
