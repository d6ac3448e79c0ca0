"""FP4 numbers: the values there are, scales, rounding, and the Hadamard transform."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor

from nanocore.model.fp4 import Format, e2m1, fake_quantise, hadamard, rotate_rows
from nanocore.model.fp4_study import random_rotation
from nanocore.validation.checks import fp4
from nanocore.validation.workshop import Workshop

ROOT = Path(__file__).parents[2]
VALUES = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
FORMATS: list[Format] = ["nvfp4", "mxfp4", "token"]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def test_the_values_of_e2m1_stay_and_others_go_to_the_nearest_with_ties_to_the_even_code() -> None:
    table = torch.tensor(VALUES)
    assert torch.equal(e2m1(table), table) and torch.equal(e2m1(-table), -table)
    assert torch.equal(e2m1(table, torch.full_like(table, 0.0)), table)
    ties = (table[1:] + table[:-1]) / 2  # codes 0..7 are the values in order; of two neighbours one code is even
    assert e2m1(ties).tolist() == [0.0, 1.0, 1.0, 2.0, 2.0, 4.0, 4.0]
    dense = torch.linspace(-7, 7, 4001)
    distance = (dense.abs()[:, None] - table).abs()
    away = distance.sort(dim=1).values.diff(dim=1)[:, 0] > 1e-4  # not a tie
    assert torch.equal(e2m1(dense)[away], (table[distance.argmin(1)] * dense.sign())[away])


def test_stochastic_rounding_is_unbiased_and_takes_a_neighbour() -> None:
    points = torch.linspace(-6, 6, 97).repeat(5_000, 1)
    rounded = e2m1(points, uniform(*points.shape))
    # The widest step is 2, whose coin flips have deviation 1 at most.
    assert float((rounded.mean(0) - points[0]).abs().max()) < 4 / 5_000**0.5
    table = torch.tensor(VALUES)
    assert bool(torch.isin(rounded.abs(), table).all())
    size = points[0].abs()
    below = table[(torch.searchsorted(table, size, right=True) - 1)]
    above = table[torch.searchsorted(table, size).clamp(max=7)]
    assert bool(((rounded.abs() == below) | (rounded.abs() == above)).all())


@pytest.mark.parametrize(("format", "expected"), [("nvfp4", 0.095), ("mxfp4", 0.115), ("token", 0.111)])
def test_error_on_normal_numbers_is_the_known_one(format: Format, expected: float) -> None:
    x = normal(2048, 256)
    assert error(fake_quantise(x, format), x) == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize(("width", "expected"), [(32, 0.101), (256, 0.111), (4096, 0.119)])
def test_the_error_of_a_row_with_one_scale_grows_with_its_width(width: int, expected: float) -> None:
    x = normal(2**19 // width, width)
    assert error(fake_quantise(x, "token"), x) == pytest.approx(expected, abs=0.002)


def test_validate_prints_the_figures_of_the_page() -> None:
    figure = fp4.check(cast("Workshop", None)).figure
    assert figure == "error of normal values in rows of 256: nvfp4 9.5%, mxfp4 11.5%, token 11.1%"
    page = " ".join((ROOT / "docs/techniques/fp4.md").read_text().split())
    assert "in rows of 256 (relative" in page and "NVFP4 9.5 %, MXFP4 11.5 %, per token 11.1 %" in page


def test_the_largest_value_of_a_block_becomes_six_times_its_scale() -> None:
    """E4M3 scales miss by up to 1/16; where the block's maximum is the tensor's, the scale is exact."""
    x = normal(64, 64)
    rows = x.abs().amax(dim=1)
    assert torch.allclose(fake_quantise(x, "token").abs().amax(dim=1), rows, rtol=1e-6)
    blocks = x.unflatten(1, (-1, 16)).abs().amax(dim=2)
    held = fake_quantise(x, "nvfp4").unflatten(1, (-1, 16)).abs().amax(dim=2)
    assert torch.allclose(held, blocks, rtol=1 / 15)
    assert float(held.max()) == pytest.approx(float(blocks.max()), rel=1e-6)


def test_powers_of_two_scale_an_mxfp4_block_so_that_nothing_saturates() -> None:
    x = torch.zeros(3, 32)
    x[:, 0] = torch.tensor([6.0, 6.1, 5.9])  # scales 1, 2, 1
    x[:, 1] = 0.4
    assert torch.equal(fake_quantise(x, "mxfp4")[:, :2], torch.tensor([[6.0, 0.5], [6.0, 0.0], [6.0, 0.5]]))
    assert float(fake_quantise(x * 2.0**-40, "mxfp4")[1, 0]) == 6 * 2.0**-40


@pytest.mark.parametrize("format", FORMATS)
def test_stochastic_rounding_of_a_tensor_is_unbiased_where_nearest_rounding_is_not(format: Format) -> None:
    """Also for the largest value of a block, which a scale rounded down would cut."""
    x = normal(96) * torch.logspace(-1, 1, 96)
    draws = fake_quantise(x.repeat(4000, 1), format, noise=uniform(4000, 96))
    deviation = draws.std(dim=0) / 4000**0.5
    assert bool(((draws.mean(dim=0) - x).abs() <= 5 * deviation + 1e-6 * x.abs()).all())
    assert float((fake_quantise(x[None], format)[0] - x).abs().max()) > 10 * float(deviation.max())


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("shape", [(1, 1), (5, 17), (16, 33), (3, 64)])
def test_ragged_blocks_are_those_of_the_padded_tensor(format: Format, shape: tuple[int, int]) -> None:
    x = normal(*shape)
    padded = torch.nn.functional.pad(x, (0, 96 - shape[1], 0, 48 - shape[0]))
    assert torch.equal(fake_quantise(x, format), fake_quantise(padded, format)[: shape[0], : shape[1]])


@pytest.mark.parametrize("shape", [(32, 48), (20, 37)])
def test_square_blocks_are_the_same_for_the_transpose(shape: tuple[int, int]) -> None:
    x = normal(*shape)
    square = fake_quantise(x, "nvfp4", square=True)
    assert torch.equal(square.mT, fake_quantise(x.mT, "nvfp4", square=True))
    assert not torch.equal(square, fake_quantise(x, "nvfp4"))
    with pytest.raises(ValueError, match="no square blocks"):
        fake_quantise(x, "mxfp4", square=True)


@pytest.mark.parametrize("format", FORMATS)
def test_zeros_stay_zero_and_what_is_not_finite_does_not_become_finite(format: Format) -> None:
    assert not fake_quantise(torch.zeros(4, 40), format).any()
    assert not fake_quantise(torch.zeros(4, 40), format, noise=uniform(4, 40)).any()
    for bad in (torch.nan, torch.inf):
        x = normal(2, 32)
        x[0, 3] = bad
        assert not fake_quantise(x, format)[0].isfinite().all()


@pytest.mark.parametrize("size", [2, 16])
def test_the_hadamard_transform_is_orthogonal_and_cancels_in_the_weight_gradient(size: int) -> None:
    matrix = hadamard(size)
    assert torch.allclose(matrix @ matrix.mT, torch.eye(size), atol=1e-6)
    assert torch.allclose(matrix.abs(), torch.full((size, size), size**-0.5))
    rotation = random_rotation(torch.Generator().manual_seed(3))
    other = random_rotation(torch.Generator().manual_seed(4))
    assert torch.allclose(rotation @ rotation.mT, torch.eye(16), atol=1e-6) and not torch.equal(rotation, other)
    rows, x = normal(37, 8, seed=1), normal(37, 12, seed=2)  # 37 tokens are padded to 48
    turned = rotate_rows(rows, rotation).mT @ rotate_rows(x, rotation)
    assert torch.allclose(turned, rows.mT @ x, atol=1e-4)
