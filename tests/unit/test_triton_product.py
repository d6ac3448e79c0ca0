"""The packed ternary product: whole-number exact for every shape and value, then scaled as the training forward does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nanocore.model.quantise import TernaryWeight, ternary_weight
from nanokernels import ops
from nanokernels.packing import pack
from nanokernels.plain import token_codes
from tests.quick import checkered
from tests.triton_kernels import Kernels, assert_rounded, kernels

SHAPES = [(1, 1, 0), (7, 13, 0), (65, 200, 0), (33, 256, 64), (70, 144, 36), (5, 132, 132)]  # rows, columns, group size


@pytest.fixture(scope="module")
def gpu() -> Iterator[Kernels]:
    with kernels() as loaded:
        yield loaded


def matrix(rows: int, columns: int, group_size: int = 0) -> TernaryWeight:
    return ternary_weight(torch.randn(rows, columns, generator=torch.Generator().manual_seed(rows)), group_size)


def whole_sums(codes: Tensor, weight: TernaryWeight) -> Tensor:
    """The formula, in int64: (groups, N, M)."""
    groups = weight.scale.shape[1]
    x, w = codes.long().unflatten(1, (groups, -1)), weight.codes.long().unflatten(1, (groups, -1))
    return torch.einsum("ngk,mgk->gnm", x, w)


def scaled(codes: Tensor, token_scale: Tensor, weight: TernaryWeight) -> Tensor:
    return (whole_sums(codes, weight).float() * weight.scale.mT[:, None, :]).sum(0) * token_scale


def packed(gpu: Kernels, weight: TernaryWeight):
    return gpu.planes.pack_planes(weight.codes.to(gpu.device), weight.scale.to(gpu.device))


@pytest.mark.parametrize(("shape", "tokens_and_splits"), checkered(SHAPES, [(1, 1), (1, 3), (3, 2), (17, 1)]))
def test_sums_are_exact(gpu: Kernels, shape: tuple[int, int, int], tokens_and_splits: tuple[int, int]) -> None:
    (rows, columns, group_size), (tokens, splits) = shape, tokens_and_splits
    weight = matrix(rows, columns, group_size)
    codes = torch.randint(-127, 128, (tokens, columns), dtype=torch.int8)
    blocks = gpu.tune.Blocks(rows=32, tokens=16, bytes=32, splits=splits, warps=4, stages=2)
    sums = gpu.linear.int_sums(codes.to(gpu.device), packed(gpu, weight), blocks)
    assert torch.equal(sums.cpu().long(), whole_sums(codes, weight))


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("code", [-1, 0, 1])
def test_the_largest_values_are_exact(gpu: Kernels, sign: int, code: int) -> None:
    weight = TernaryWeight(torch.full((3, 256), code, dtype=torch.int8), torch.ones(1, 1))
    codes = torch.full((2, 256), 127 * sign, dtype=torch.int8)
    sums = gpu.linear.int_sums(codes.to(gpu.device), packed(gpu, weight))
    assert sums.tolist() == [[[127 * sign * code * 256] * 3] * 2]


@pytest.mark.parametrize(("rows", "columns", "group_size"), SHAPES)
@pytest.mark.parametrize("splits", [1, 3])
def test_the_linear_map_is_that_of_training(
    gpu: Kernels, rows: int, columns: int, group_size: int, splits: int
) -> None:
    weight, x = matrix(rows, columns, group_size), torch.randn(5, columns)
    blocks = gpu.tune.Blocks(rows=64, tokens=16, bytes=32, splits=splits, warps=4, stages=2)
    y = gpu.linear.ternary_linear(x.to(gpu.device), packed(gpu, weight), blocks=blocks)
    torch.testing.assert_close(y.cpu(), scaled(*token_codes(x), weight), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_outputs_are_rounded_once(gpu: Kernels, dtype: torch.dtype) -> None:
    weight, x = matrix(40, 96), torch.randn(2, 96).to(dtype)
    y = gpu.linear.ternary_linear(x.to(gpu.device), packed(gpu, weight))
    expected = scaled(*token_codes(x), weight)
    assert y.dtype == dtype
    assert_rounded(y, expected)
    wide = gpu.linear.ternary_linear(x.to(gpu.device), packed(gpu, weight), dtype=torch.float32)
    assert torch.equal(wide.cpu(), expected)


def test_a_zero_token_gives_zeros_and_a_nan_shows(gpu: Kernels) -> None:
    x = torch.randn(3, 64)
    x[0], x[2, 5] = 0.0, torch.nan
    y = gpu.linear.ternary_linear(x.to(gpu.device), packed(gpu, matrix(8, 64))).cpu()
    assert torch.equal(y[0], torch.zeros(8))
    assert torch.isfinite(y[1]).all() and torch.isnan(y[2]).all()


def test_a_wrong_width_and_float64_are_refused(gpu: Kernels) -> None:
    planes = packed(gpu, matrix(8, 64))
    with pytest.raises(ValueError, match="64 columns"):
        gpu.linear.ternary_linear(torch.zeros(1, 63, device=gpu.device), planes)
    with pytest.raises(ValueError, match="float64"):
        gpu.linear.ternary_linear(torch.zeros(1, 64, dtype=torch.float64, device=gpu.device), planes)


def test_the_public_product_gives_tritons_result_for_a_packed_matrix(gpu: Kernels) -> None:
    weight, x = matrix(70, 144), torch.randn(3, 144, generator=torch.Generator().manual_seed(1))
    here = pack(*weight)
    there = replace(here, data=here.data.to(gpu.device), scale=here.scale.to(gpu.device))
    y = ops.ternary_linear(x.to(gpu.device), there, path="triton")
    assert torch.equal(y.cpu(), ops.ternary_linear(x, here, path="torch"))
    codes = torch.randint(-127, 128, (2, 144), dtype=torch.int8)
    sums = ops.int_sums(codes.to(gpu.device), there, path="triton")
    assert torch.equal(sums.cpu(), ops.int_sums(codes, here, path="torch"))
