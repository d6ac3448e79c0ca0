"""RMSNorm (arXiv 1910.07467) with a learned gain."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class RMSNorm(nn.Module):
    """y = x / sqrt(mean(x^2) + eps) * gain over the last dimension; sums in float32 at least, output in x's dtype."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            if x.device.type == "cpu":
                return _RMSNormCPU.apply(x, self.weight, self.eps)
            return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), self.eps)


class _RMSNormCPU(torch.autograd.Function):
    """On the CPU, autograd of `F.rms_norm` takes three times as long as these passes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, eps: float) -> Tensor:
        wide = _wide(x)
        norm = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)  # (..., 1)
        inverse = norm.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, gain, inverse)
        return (wide * inverse).mul_(gain).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor, Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, gain, inverse = ctx.saved_tensors
        unit, d_y = _wide(x) * inverse, _wide(d_y)
        d_gain = (d_y * unit).flatten(0, -2).sum(0)
        d_unit = d_y * gain
        along = torch.linalg.vecdot(d_unit, unit).div_(x.shape[-1]).unsqueeze_(-1)  # (..., 1)
        d_x = d_unit.addcmul_(unit, along, value=-1).mul_(inverse)
        return d_x.to(x.dtype), d_gain.to(gain.dtype), None


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
