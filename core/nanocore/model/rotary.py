"""Rotary positions (RoFormer, arXiv 2104.09864) in the rotate-half form: dimension i turns with i + width / 2."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class Rotation(NamedTuple):
    """Cosines and sines of each position's angles, (1 or B, T, 1, head_dim / 2)."""

    cos: Tensor
    sin: Tensor


class RotaryTable:
    """Angles position * theta^(-2 i / head_dim) for positions 0..length-1, computed once in float64 for each use."""

    def __init__(self, head_dim: int, length: int, theta: float) -> None:
        self.head_dim, self.length, self.theta = head_dim, length, theta
        self._tables: dict[tuple[torch.device, torch.dtype], Rotation] = {}

    def at(self, positions: Tensor, dtype: torch.dtype) -> Rotation:
        """The rotation of each token; positions (B, T) or (T,), each below `length`."""
        cos, sin = self._table(positions.device, dtype)
        return Rotation(cos[positions].unsqueeze(-2), sin[positions].unsqueeze(-2))

    def _table(self, device: torch.device, dtype: torch.dtype) -> Rotation:
        if (device, dtype) not in self._tables:
            with torch.inference_mode(False):  # what is kept here must also serve training
                exponents = torch.arange(0, self.head_dim, 2, dtype=torch.float64) / self.head_dim
                angles = torch.outer(torch.arange(self.length, dtype=torch.float64), self.theta**-exponents)
                self._tables[device, dtype] = Rotation(angles.cos().to(device, dtype), angles.sin().to(device, dtype))
        return self._tables[device, dtype]


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Turn each pair (x[i], x[i + half]) by its token's angle; x (B, T, heads, head_dim)."""
    return _Rotate.apply(x, *rotation)


class _Rotate(torch.autograd.Function):
    """Backward is the turn by the opposite angle, so nothing but the shared table is kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turn(x, cos, sin, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        cos, sin = ctx.saved_tensors
        return _turn(d_y, cos, sin, -1), None, None


def _turn(x: Tensor, cos: Tensor, sin: Tensor, sign: int) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    turned = torch.empty_like(x, memory_format=torch.contiguous_format)
    low, high = turned.chunk(2, dim=-1)
    torch.mul(first, cos, out=low).addcmul_(second, sin, value=-sign)
    torch.mul(second, cos, out=high).addcmul_(first, sin, value=sign)
    return turned
