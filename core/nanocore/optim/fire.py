"""FIRE: a weight becomes the nearest matrix that stretches all directions alike, against lost plasticity.

Source: arXiv 2602.08040. Of all W~ with W~^T W~ = I the polar factor W (W^T W)^(-1/2) is nearest to W; scaled by
sqrt(d_out / d_in) it replaces W. It is for the moment when the data shifts, not for the middle of a run. A ternary
model's codes depend on the direction of the latent weights alone, and the factor changes its absmean scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class FireReport:
    """What happened to one weight; sums over the matrices of a stack.

    `dfi_before` and `dfi_after`: deviation from isometry ||A - I||_F^2, where A is the smaller Gram matrix of
    W / sqrt(d_out / d_in). `movement`: squared Frobenius error ||W~ - W||_F^2 / ||W||_F^2. `error`: the largest
    ||A - I||_F / sqrt(d) after the last iteration; `converged` where it is at most the tolerance.
    """

    dfi_before: float
    dfi_after: float
    movement: float
    iterations: int
    error: float
    converged: bool


@torch.no_grad()
def reinitialise(weight: Tensor, *, iterations: int, tolerance: float) -> FireReport:
    """Replace a weight (d_out, d_in), or each matrix of a stack (n, d_out, d_in), by its scaled polar factor, in place.

    Works in float32, or float64 if the weight does. Newton-Schulz X <- 1.5 X - 0.5 X X^T X ends at the tolerance, or
    after so many iterations: then small singular values are still below 1, or zero (such a weight has no single
    nearest isometry), the report says so, and what was reached is kept.
    """
    old = weight.to(torch.promote_types(weight.dtype, torch.float32))
    scale = math.sqrt(weight.shape[-2] / weight.shape[-1])
    flat = old if old.shape[-2] <= old.shape[-1] else old.mT
    polar, used, error = _polar(flat, iterations, tolerance)
    new = (polar if flat is old else polar.mT) * scale
    movement = float((new - old).square().sum() / old.square().sum().clamp_min(torch.finfo(old.dtype).tiny))
    before, after = _deviation(flat / scale), _deviation(polar)
    weight.copy_(new)
    return FireReport(float(before.sum()), float(after.sum()), movement, used, error, error <= tolerance)


def _polar(matrices: Tensor, iterations: int, tolerance: float) -> tuple[Tensor, int, float]:
    """The polar factor of matrices no taller than wide, iterations used, and the distance that was reached."""
    x, used = matrices / _spectral_bound(matrices), 0
    while True:
        gram = x @ x.mT
        error = math.sqrt(float(_from_identity(gram).max()) / gram.shape[-1])
        if error <= tolerance or used == iterations:
            return x, used, error
        x, used = 1.5 * x - 0.5 * (gram @ x), used + 1


def _spectral_bound(matrices: Tensor) -> Tensor:
    """(..., 1, 1): at least the largest singular value, so that the iteration converges (it does below sqrt(3)).

    The largest row sum of the Gram matrix bounds its spectral norm, for random matrices several times tighter than the
    Frobenius norm of the weight does: each factor 1.5 saves an iteration.
    """
    rows = torch.linalg.matrix_norm(matrices @ matrices.mT, ord=float("inf"), keepdim=True).sqrt()
    bound = torch.minimum(rows, torch.linalg.matrix_norm(matrices, keepdim=True))
    return bound.clamp_min(torch.finfo(matrices.dtype).tiny)


def _deviation(matrices: Tensor) -> Tensor:
    return _from_identity(matrices @ matrices.mT)


def _from_identity(gram: Tensor) -> Tensor:
    """||A - I||_F^2 of each matrix."""
    identity = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    return (gram - identity).square().sum(dim=(-2, -1))
