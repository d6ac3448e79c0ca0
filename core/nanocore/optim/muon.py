"""Muon: momentum, then the nearest (semi-)orthogonal matrix by Newton-Schulz, as the update of a weight matrix.

Sources: Keller Jordan, https://kellerjordan.github.io/posts/muon/ ; shape factors: Moonlight, arXiv 2502.16982.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from nanocore.limits import STACK_BYTES

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # steepest at 0 that keeps singular values within about [0.68, 1.13]
EPSILON = 1e-7
GRAM_STEPS = 5  # Gram-side steps before starting again from the matrix; beyond about 7 their rounding errors explode


def shape_factor(rows: int, columns: int, scale: str) -> float:
    """Factor on the orthogonal update: "original" keeps its spectral norm, "match_rms_adamw" gives it rms 0.2."""
    if scale == "original":
        return math.sqrt(max(1.0, rows / columns))
    return 0.2 * math.sqrt(max(rows, columns))


def orthogonalise(matrices: Tensor, steps: int) -> Tensor:
    """Newton-Schulz: (n, rows, columns) with rows <= columns, to about U V^T of each singular value decomposition.

    One step is X <- (a + b A + c A^2) X with A = X X^T. Singular values end near 1 (0.68 to 1.13 for usual spectra),
    not at 1. Works in the dtype of `matrices`. When they are at least twice as wide as tall, several steps run on A
    alone, which is smaller, and multiply X once: the same product, a third less work; bfloat16 is too coarse for it.
    """
    rows, columns = matrices.shape[1:]
    block = GRAM_STEPS if columns >= 2 * rows and matrices.dtype != torch.bfloat16 else 1
    x = matrices / (torch.linalg.matrix_norm(matrices, keepdim=True) + EPSILON)
    for done in range(0, steps, block):
        x = _polynomials(x @ x.mT, min(block, steps - done)) @ x
    return x


def _polynomials(gram: Tensor, steps: int) -> Tensor:
    """The factor that `steps` steps put before X, from A = X X^T (n, rows, rows)."""
    product = factor = _polynomial(gram)
    for _ in range(steps - 1):
        gram = factor @ gram @ factor  # all of them are polynomials of one A, so they commute
        factor = _polynomial(gram)
        product = factor @ product
    return product


def _polynomial(gram: Tensor) -> Tensor:
    """a + b A + c A^2."""
    a, b, c = COEFFICIENTS
    factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
    factor.diagonal(dim1=1, dim2=2).add_(a)
    return factor


class Muon(torch.optim.Optimizer):
    """buf <- m buf + (1 - m) g; u = (1 - m) g + m buf (Nesterov) or buf; W <- W (1 - lr wd) - lr c NS(u).

    For matrices only. Those of one shape, or of its transpose, are orthogonalised in one batched call.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        *,
        momentum: float = 0.95,
        nesterov: bool = True,
        newton_schulz_steps: int = 5,
        shape_scale: str = "original",
        weight_decay: float = 0.0,
    ) -> None:
        self._steps, self._shape_scale = newton_schulz_steps, shape_scale
        super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            for batch in _batches([p for p in group["params"] if p.grad is not None]):
                self._update(batch, group)

    def _update(self, batch: list[Tensor], group: dict[str, Any]) -> None:
        directions = [_wide(self._direction(parameter, group)) for parameter in batch]
        # bfloat16 halves the time where the hardware multiplies it fast; the iteration tolerates its rounding.
        stacked = torch.stack(directions)  # (matrices, shorter, longer)
        updates = orthogonalise(stacked.bfloat16() if stacked.is_cuda else stacked, self._steps)
        for parameter, update in zip(batch, updates, strict=True):
            rows, columns = parameter.shape
            scale = group["lr"] * shape_factor(rows, columns, self._shape_scale)
            parameter.mul_(1.0 - group["lr"] * group["weight_decay"])
            parameter.add_((update if rows <= columns else update.mT).to(parameter.dtype), alpha=-scale)

    def _direction(self, parameter: Tensor, group: dict[str, Any]) -> Tensor:
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer: Tensor = state["momentum_buffer"].lerp_(gradient, 1.0 - group["momentum"])
        return gradient.lerp(buffer, group["momentum"]) if group["nesterov"] else buffer


def _wide(matrix: Tensor) -> Tensor:
    """The matrix, or its transpose when it is taller than wide: the Gram matrix is then the smaller one."""
    return matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix


def _batches(parameters: list[Tensor]) -> Iterator[list[Tensor]]:
    """Parameters that can be stacked: of one shape up to transposition, STACK_BYTES together."""
    by_shape: dict[tuple[int, ...], list[Tensor]] = defaultdict(list)
    for parameter in parameters:
        by_shape[tuple(_wide(parameter).shape)].append(parameter)
    for same in by_shape.values():
        size = max(1, STACK_BYTES[same[0].device.type] // (same[0].numel() * same[0].element_size()))
        for start in range(0, len(same), size):
            yield same[start : start + size]
