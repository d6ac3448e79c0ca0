"""Rotary positions (RoFormer, arXiv 2104.09864) in the rotate-half form: dimension i turns with i + head_dim / 2."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nanocore.model.room import room


class Rotation(NamedTuple):
    """What turns each token's heads, (1 or B, T, 1, head_dim): cosines, and sines whose first half is negated."""

    cos: Tensor
    sin: Tensor


class RotaryTable:
    """Angles position * theta^(-2 i / head_dim) for positions 0..length-1, computed in float64 for each dtype.

    A table grows with the texts that are read: a declared context of 131072 tokens costs nothing until it is used.
    """

    def __init__(self, head_dim: int, length: int, theta: float) -> None:
        self.head_dim, self.length, self.theta = head_dim, length, theta
        self._tables: dict[tuple[torch.device, torch.dtype], Rotation] = {}

    def at(self, positions: Tensor, dtype: torch.dtype, end: int) -> Rotation:
        """The rotation of each token; positions (B, T), each below `end` and below `length`.

        `end` is told, since to look for the largest position would stop a GPU at every step.
        """
        cos, sin = self._table(positions.device, dtype, end)
        return Rotation(cos[positions].unsqueeze(-2), sin[positions].unsqueeze(-2))

    def halves(self, end: int) -> Rotation:
        """Cosines and sines, both positive and (end, head_dim / 2), of the positions before `end`, in float32."""
        half = self.head_dim // 2
        cos, sin = self._table(torch.device("cpu"), torch.float32, end)
        return Rotation(cos[:end, half:], sin[:end, half:])

    def _table(self, device: torch.device, dtype: torch.dtype, end: int) -> Rotation:
        known = self._tables.get((device, dtype))
        if known is None or len(known.cos) < min(end, self.length):
            known = self._tables[device, dtype] = self._computed(room(end, self.length), device, dtype)
        return known

    def _computed(self, length: int, device: torch.device, dtype: torch.dtype) -> Rotation:
        with torch.inference_mode(False):  # what is kept here must also serve training
            exponents = torch.arange(0, self.head_dim, 2, dtype=torch.float64) / self.head_dim
            angles = torch.outer(torch.arange(length, dtype=torch.float64), self.theta**-exponents)
            cos, sin = angles.cos().to(device, dtype), angles.sin().to(device, dtype)  # (length, head_dim / 2)
            return Rotation(torch.cat((cos, cos), -1), torch.cat((-sin, sin), -1))


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Turn each pair (x[i], x[i + half]) by its token's angle; x (B, T, heads, head_dim), in its own dtype."""
    cos, sin = rotation.cos.to(x.dtype), rotation.sin.to(x.dtype)
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin)
