"""Muon's momentum of one parameter: what is remembered, and which matrices are orthogonalised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from nanocore.optim.quantised_state import State, Store


class Momentum(Protocol):
    """One parameter's momentum. The parameter is (rows, columns), or (n, rows, columns): a stack of matrices."""

    @property
    def shape(self) -> tuple[int, int]:
        """Of the matrices to orthogonalise, never taller than wide."""
        ...

    def slots(self, like: Tensor) -> State:
        """The state before the first step: zeros."""
        ...

    def direction(self, gradient: Tensor, state: State, decay: float, nesterov: bool) -> Tensor:
        """Remember a gradient; the matrices to orthogonalise ([n,] *shape)."""
        ...

    def lift(self, update: Tensor, state: State) -> Tensor:
        """The orthogonalised matrices as an update of the parameter, or of its transpose when it is taller than wide."""
        ...


@dataclass(frozen=True)
class DirectMomentum:
    """Momentum of the gradient itself: floats (Muon), or codes (8-bit Muon)."""

    buffer: Store
    shape: tuple[int, int]

    def slots(self, like: Tensor) -> State:
        return self.buffer.slots(like)

    def direction(self, gradient: Tensor, state: State, decay: float, nesterov: bool) -> Tensor:
        buffer = self.buffer.read(state, gradient.dtype)
        direction = advance(buffer, gradient, decay, nesterov)
        self.buffer.write(state, buffer)
        return wide(direction)

    def lift(self, update: Tensor, state: State) -> Tensor:
        return update


def advance(buffer: Tensor, gradient: Tensor, decay: float, nesterov: bool) -> Tensor:
    """buf <- m buf + (1 - m) g, in place; (1 - m) g + m buf (Nesterov), or buf."""
    buffer.lerp_(gradient, 1.0 - decay)
    return gradient.lerp(buffer, decay) if nesterov else buffer


def wide(matrices: Tensor) -> Tensor:
    """The matrices, or their transposes when they are taller than wide: the Gram matrix is then the smaller one."""
    return matrices.mT if matrices.shape[-2] > matrices.shape[-1] else matrices


def wide_shape(shape: torch.Size) -> tuple[int, int]:
    """(shorter side, longer side) of the last two dimensions."""
    return min(shape[-2:]), max(shape[-2:])
