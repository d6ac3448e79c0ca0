"""Newton-Schulz and Polar Express against their formulas, the exact polar factor, and what both must satisfy."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nanocore.optim.orthogonal import Orthogonalisation, orthogonalise

METHODS: list[Orthogonalisation] = ["newton-schulz", "polar-express"]
POLAR_EXPRESS = [
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
]


def published(x: Tensor, steps: int, method: Orthogonalisation) -> Tensor:
    """The iteration as published, one matrix and one step at a time."""
    if method == "newton-schulz":
        coefficients, x = [(3.4445, -4.7750, 2.0315)] * steps, x / (x.norm() + 1e-7)
    else:
        coefficients = (POLAR_EXPRESS + [POLAR_EXPRESS[-1]] * steps)[:steps]
        x = x / (1.01 * x.norm() + 1e-7)
    for a, b, c in coefficients:
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


def with_spectrum(shape: tuple[int, int], values: Tensor) -> Tensor:
    left, right = (torch.linalg.qr(torch.randn(n, n, dtype=torch.float64))[0] for n in shape)
    return left @ (values[:, None] * right[: shape[0]])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("steps", [1, 3, 5, 7, 10])
@pytest.mark.parametrize("shape", [(6, 6), (6, 20)])
def test_any_number_of_steps_is_that_many(steps: int, shape: tuple[int, int], method: Orthogonalisation) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64)
    torch.testing.assert_close(
        orthogonalise(x[None], steps, method)[0], published(x, steps, method), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(12, 12), (8, 40)])
def test_rotations_pass_through(shape: tuple[int, int], method: Orthogonalisation) -> None:
    torch.manual_seed(0)
    x = torch.randn(1, *shape, dtype=torch.float64)
    left, right = (torch.linalg.qr(torch.randn(1, n, n, dtype=torch.float64))[0] for n in shape)
    turned = orthogonalise(left @ x @ right, 5, method)
    torch.testing.assert_close(turned, left @ orthogonalise(x, 5, method) @ right)


@pytest.mark.parametrize(("method", "low", "high"), [("newton-schulz", 0.65, 1.15), ("polar-express", 0.8, 1.16)])
def test_singular_values_come_near_one(method: Orthogonalisation, low: float, high: float) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(4, 32, 128), 5, method))
    assert values.min() > low and values.max() < high


@pytest.mark.parametrize("shape", [(256, 256), (192, 672)])
def test_polar_express_comes_nearer_to_the_polar_factor(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape)
    left, _, right = torch.linalg.svd(x, full_matrices=False)
    exact = left @ right
    schulz, express = ((orthogonalise(x[None], 5, m)[0] - exact).norm() / exact.norm() for m in METHODS)
    assert 0.14 < schulz < 0.24 and 0.05 < express < 0.15 and express < 0.75 * schulz


@pytest.mark.parametrize(("method", "tolerance"), [("newton-schulz", 1e-3), ("polar-express", 3e-4)])
@pytest.mark.parametrize("decades", [0.0, 2.0, 4.0, 6.0])
def test_the_detour_over_the_gram_matrix_stays_accurate_in_float32(
    decades: float, method: Orthogonalisation, tolerance: float
) -> None:
    torch.manual_seed(0)
    matrix = with_spectrum((48, 144), torch.logspace(0.0, -decades, 48, dtype=torch.float64))
    expected = published(matrix, 5, method)
    found = orthogonalise(matrix.float()[None], 5, method)[0]
    assert (found - expected).norm() < tolerance * expected.norm()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(16, 16), (16, 64)])
def test_thirty_steps_on_a_nearly_rank_one_gradient_stay_bounded(
    shape: tuple[int, int], method: Orthogonalisation
) -> None:
    torch.manual_seed(0)
    matrix = torch.outer(torch.randn(shape[0]), torch.randn(shape[1])) + 1e-6 * torch.randn(shape)
    assert torch.linalg.svdvals(orthogonalise(matrix[None], 30, method)).max() < 1.3
