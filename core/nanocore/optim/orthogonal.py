"""The (nearly) nearest semi-orthogonal matrices of a stack, by matrix products alone: Newton-Schulz or Polar Express.

Sources: Keller Jordan, https://kellerjordan.github.io/posts/muon/ ; Polar Express: arXiv 2505.16932 (coefficients for
five iterations, safety factor 2e-2, cushion 2).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Orthogonalisation = Literal["newton-schulz", "polar-express"]
Coefficients = tuple[float, float, float]

# One step is X <- (a + b A + c A^2) X with A = X X^T. Newton-Schulz: steepest at 0 that keeps singular values within
# about [0.68, 1.13]. Polar Express: each step is the best for the range that the steps before it leave.
COEFFICIENTS: dict[Orthogonalisation, tuple[Coefficients, ...]] = {
    "newton-schulz": ((3.4445, -4.7750, 2.0315),),
    "polar-express": (
        (8.156554524902461, -22.48329292557795, 15.878769915207462),
        (4.042929935166739, -2.808917465908714, 0.5000178451051316),
        (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
        (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
        (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
    ),
}
MARGIN: dict[Orthogonalisation, float] = {
    "newton-schulz": 1.0,
    "polar-express": 1.01,
}  # its first step turns down beyond 1
EPSILON = 1e-7
# Gram-side steps before starting again from the matrix. Their float32 rounding errors grow with the coefficients: up to
# 2e-4 (Newton-Schulz) and 1e-4 (Polar Express) of the result's norm for spectra over six decades. Newton-Schulz explodes
# beyond about 7, and five of Polar Express would cost 1e-3.
GRAM_STEPS: dict[Orthogonalisation, int] = {"newton-schulz": 5, "polar-express": 3}


def orthogonalise(matrices: Tensor, steps: int, method: Orthogonalisation = "newton-schulz") -> Tensor:
    """(n, rows, columns) with rows <= columns, to about U V^T of each singular value decomposition.

    Singular values end near 1 (0.68 to 1.13 for usual spectra), not at 1. Works in the dtype of `matrices`. When they
    are at least twice as wide as tall, several steps run on A alone, which is smaller, and multiply X once: the same
    product, a third less work; bfloat16 is too coarse for it.
    """
    rows, columns = matrices.shape[1:]
    block = GRAM_STEPS[method] if columns >= 2 * rows and matrices.dtype != torch.bfloat16 else 1
    x = matrices / (torch.linalg.matrix_norm(matrices, keepdim=True) * MARGIN[method] + EPSILON)
    listed = COEFFICIENTS[method]
    schedule = [listed[min(step, len(listed) - 1)] for step in range(steps)]  # after the listed ones, the last repeats
    for done in range(0, steps, block):
        x = _polynomials(x @ x.mT, schedule[done : done + block]) @ x
    return x


def _polynomials(gram: Tensor, schedule: list[Coefficients]) -> Tensor:
    """The factor that the steps of `schedule` put before X, from A = X X^T (n, rows, rows)."""
    product = factor = _polynomial(gram, schedule[0])
    for coefficients in schedule[1:]:
        gram = factor @ gram @ factor  # all of them are polynomials of one A, so they commute
        factor = _polynomial(gram, coefficients)
        product = factor @ product
    return product


def _polynomial(gram: Tensor, coefficients: Coefficients) -> Tensor:
    """a + b A + c A^2."""
    a, b, c = coefficients
    factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
    factor.diagonal(dim1=1, dim2=2).add_(a)
    return factor
