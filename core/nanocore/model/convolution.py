"""A short causal convolution of each channel over time (as in Gated DeltaNet, arXiv 2412.06464), within its document."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class ShortConvolution(nn.Module):
    """y_t = sum of weight[:, width - 1 - i] x_{t-i} over 0 <= i < width; x before the beginning is 0 (torch's order)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.weight = nn.Parameter(torch.empty(channels, width))

    def forward(self, x: Tensor, documents: Tensor | None) -> Tensor:
        """(B, T, channels) to the same, in x's dtype; sums in float32 at least. `documents` (B, T) number documents."""
        with torch.autocast(x.device.type, enabled=False):
            return _Convolution.apply(x, self.weight, documents)


class _Convolution(torch.autograd.Function):
    """Keeps x once; autograd of the sum would keep a copy for each tap."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, documents: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight, documents)
        y = x * weight[:, -1]
        for back in range(1, min(weight.shape[1], x.shape[1])):
            y[:, back:] += _own(x[:, :-back], documents, back) * weight[:, -1 - back]
        return y.to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor, Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight, documents = ctx.saved_tensors
        d_y = d_y.to(torch.promote_types(x.dtype, weight.dtype))
        d_x, d_weight = d_y * weight[:, -1], torch.zeros_like(weight)
        d_weight[:, -1] = (d_y * x).sum((0, 1))
        for back in range(1, min(weight.shape[1], x.shape[1])):
            d_own = _own(d_y[:, back:], documents, back)
            d_x[:, :-back] += d_own * weight[:, -1 - back]
            d_weight[:, -1 - back] = (d_own * x[:, :-back]).sum((0, 1))
        return d_x.to(x.dtype), d_weight, None


def _own(x: Tensor, documents: Tensor | None, back: int) -> Tensor:
    """x (B, T - back, channels), 0 where a token and the one `back` earlier are of different documents."""
    if documents is None:
        return x
    return x * (documents[:, back:] == documents[:, :-back]).unsqueeze(-1)
