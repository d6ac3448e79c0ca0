"""FIRE against the polar factor of the singular value decomposition."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from nanocore.optim.fire import reinitialise

SHAPES = [(24, 24), (16, 40), (40, 16)]


def draw(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    torch.manual_seed(2)
    return 0.02 * torch.randn(shape, dtype=dtype)


def polar(weight: Tensor) -> Tensor:
    left, _, right = torch.linalg.svd(weight, full_matrices=False)
    return left @ right


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_weight_becomes_its_scaled_polar_factor(
    shape: tuple[int, int], dtype: torch.dtype, tolerance: float
) -> None:
    weight = draw(*shape, dtype=dtype)
    scale = math.sqrt(shape[0] / shape[1])
    expected, old = polar(weight) * scale, weight.clone()
    report = reinitialise(weight, iterations=60, tolerance=tolerance)
    torch.testing.assert_close(weight, expected, rtol=0, atol=100 * tolerance * scale)
    assert weight.norm().item() == pytest.approx(math.sqrt(min(shape)) * scale, rel=1e-4)
    assert report.converged and report.error <= tolerance and report.iterations < 60
    movement = ((expected - old).norm() / old.norm()).item() ** 2
    assert report.movement == pytest.approx(movement, rel=1e-3)
    gram = (old / scale).mT @ (old / scale) if shape[0] > shape[1] else (old / scale) @ (old / scale).mT
    assert report.dfi_before == pytest.approx((gram - torch.eye(min(shape), dtype=dtype)).norm().item() ** 2, rel=1e-4)
    assert report.dfi_after < 1e-6


def test_too_few_iterations_are_told_and_more_come_nearer() -> None:
    reports = [reinitialise(draw(48, 48), iterations=n, tolerance=1e-3) for n in (1, 4, 8, 16)]
    assert [report.iterations for report in reports] == [1, 4, 8, 16]
    assert not any(report.converged for report in reports[:3])
    for report in reports:  # the relative distance, so that sqrt(target_sfe / d) is the tolerance of a squared one
        assert report.error == pytest.approx(math.sqrt(report.dfi_after / 48), rel=1e-4)
    after = [report.dfi_after for report in reports]
    assert after == sorted(after, reverse=True) and after[0] < reports[0].dfi_before


def test_the_default_number_of_iterations_is_enough_for_a_square_matrix() -> None:
    assert reinitialise(draw(256, 256), iterations=30, tolerance=1e-3).converged


def test_an_isometry_stays_where_it_is() -> None:
    weight = torch.linalg.qr(draw(20, 20, dtype=torch.float64))[0]
    before = weight.clone()
    report = reinitialise(weight, iterations=60, tolerance=1e-12)
    torch.testing.assert_close(weight, before, rtol=0, atol=1e-10)
    assert report.movement < 1e-20


def test_the_scale_of_the_old_weight_does_not_matter() -> None:
    one, other = draw(16, 40), 1e3 * draw(16, 40)
    for weight in (one, other):
        reinitialise(weight, iterations=30, tolerance=1e-5)
    torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("weight", [torch.zeros(4, 6), torch.outer(torch.ones(4), torch.arange(6.0))])
def test_a_weight_without_full_rank_is_said_not_to_converge(weight: Tensor) -> None:
    report = reinitialise(weight, iterations=30, tolerance=1e-3)
    assert not report.converged and report.iterations == 30 and bool(weight.isfinite().all())


def test_each_matrix_of_a_stack_becomes_its_own() -> None:
    stack = draw(3, 16, 40)
    single = [matrix.clone() for matrix in stack]
    report = reinitialise(stack, iterations=60, tolerance=1e-6)
    reports = [reinitialise(matrix, iterations=60, tolerance=1e-6) for matrix in single]
    torch.testing.assert_close(stack, torch.stack(single), rtol=0, atol=1e-5)
    assert report.converged and report.dfi_before == pytest.approx(sum(r.dfi_before for r in reports))
