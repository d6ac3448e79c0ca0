"""The fused quantisers give the codes of `nanocore.model.quantise` to the bit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from nanocore.model.quantise import DIVISOR_FLOOR, TernaryWeight, ternary_weight
from nanokernels.plain import token_codes
from nanokernels.triton_planes import pad_groups, plane_offsets
from tests.triton_kernels import Kernels, assert_rounded, kernels


@pytest.fixture(scope="module")
def gpu() -> Iterator[Kernels]:
    with kernels() as loaded:
        yield loaded


def assert_token_codes(gpu: Kernels, x: Tensor) -> None:
    codes, scale = gpu.ops.token_codes(x.to(gpu.device))
    expected = token_codes(x)
    assert torch.equal(codes.cpu().float(), expected.codes)
    assert torch.equal(scale.cpu(), expected.scale)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("tokens", "columns"), [(1, 1), (3, 7), (5, 256), (2, 2500)])
def test_token_codes_and_scales_are_those_of_training(
    gpu: Kernels, tokens: int, columns: int, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(columns)
    x = torch.randn(tokens, columns, generator=generator) * torch.logspace(-6, 4, tokens)[:, None]
    assert_token_codes(gpu, x.to(dtype))


def test_ties_go_to_the_even_code(gpu: Kernels) -> None:
    halves = torch.arange(-126.5, 127, 1.0)
    assert_token_codes(gpu, torch.cat([halves, torch.tensor([127.0])])[None])


def test_tokens_that_are_zero_tiny_or_huge(gpu: Kernels) -> None:
    x = torch.tensor([[0.0, 0.0], [1e-5, -4e-8], [9e-6, 3e-6], [1e-40, 0.0], [3e38, -1e38]])
    assert_token_codes(gpu, x)


def test_a_product_is_rounded_before_it_is_rounded_to_a_code(gpu: Kernels) -> None:
    """Values whose exact quotient lies beside a half that the rounded product hits: fused arithmetic would miss it."""
    largest = torch.linspace(0.5, 2.0, 40)
    inverse = (largest / 127).reciprocal()
    near = (torch.arange(0.5, 100) / inverse[:, None]).flatten(1)
    near = torch.cat([near, near.nextafter(torch.tensor(9.0)), near.nextafter(torch.tensor(0.0))], dim=1)
    assert_token_codes(gpu, torch.cat([largest[:, None], near], dim=1))


@pytest.mark.parametrize(("columns", "groups"), [(13, 1), (256, 1), (144, 4), (256, 2), (2600, 2)])
def test_codes_for_the_packed_product_are_padded_and_summed(gpu: Kernels, columns: int, groups: int) -> None:
    x = torch.randn(3, columns)
    codes, scale, offsets = gpu.ops.padded_token_codes(x.to(gpu.device), groups)
    expected = token_codes(x)
    padded = pad_groups(expected.codes.to(torch.int8), groups)
    assert torch.equal(codes.cpu(), padded) and torch.equal(scale.cpu(), expected.scale)
    assert torch.equal(offsets.cpu(), plane_offsets(padded, groups))


@pytest.mark.parametrize(
    ("rows", "columns", "group_size"), [(1, 1, 0), (5, 7, 0), (130, 129, 0), (6, 96, 32), (3, 60, 20)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weight_codes_are_those_of_training(
    gpu: Kernels, rows: int, columns: int, group_size: int, dtype: torch.dtype
) -> None:
    weight = torch.randn(rows, columns, generator=torch.Generator().manual_seed(rows)).to(dtype)
    expected = ternary_weight(weight, group_size)
    codes = gpu.ops.weight_codes(weight.to(gpu.device), expected.scale.to(gpu.device)).cpu()
    assert torch.equal(codes, expected.codes)
    assert torch.equal(codes, rounded_quotients(weight, expected.scale))


def rounded_quotients(weight: Tensor, scale: Tensor) -> Tensor:
    grouped = weight.float().unflatten(1, (scale.shape[1], -1))
    quotients = grouped / scale.clamp(min=DIVISOR_FLOOR).unsqueeze(-1)
    return quotients.round().clamp(-1, 1).flatten(1).to(torch.int8)


def test_weights_at_half_the_mean_round_as_their_quotient_does(gpu: Kernels) -> None:
    """The comparison in place of a division, at the floats on and beside its threshold, over two binades."""
    half = torch.cat([torch.linspace(0.5, 2.0, 150), torch.tensor([1 - 2**-24, 2 - 2**-23, 5e-6, 1e-7])])
    above, below = half.nextafter(torch.tensor(9.0)), half.nextafter(torch.tensor(0.0))
    weight = torch.cat(
        [torch.stack([4 * half, -2 * half, half, -half]), torch.stack([4 * half, -2 * half, above, -below])]
    )
    weight = weight.T.reshape(-1, 4).contiguous()
    scale = ternary_weight(weight, group_size=4).scale
    codes = gpu.ops.weight_codes(weight.to(gpu.device), scale.to(gpu.device)).cpu()
    assert torch.equal(codes, rounded_quotients(weight, scale))
    at_half = scale[:, 0] == 2 * weight[:, 2]
    assert at_half.sum() > 50 and (codes[at_half, 2] == 0).all(), "half the mean itself goes to the even code"


def test_a_weight_too_small_to_divide_by_has_codes_of_zero(gpu: Kernels) -> None:
    weight, scale = torch.full((4, 8), 1e-7, device=gpu.device), torch.full((1, 1), 1e-7, device=gpu.device)
    assert int(gpu.ops.weight_codes(weight, scale).abs().sum()) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("scale_shape", [(1, 1), (6, 1), (6, 5)])
def test_dequantised_matrices_are_rounded_once(gpu: Kernels, scale_shape: tuple[int, int], dtype: torch.dtype) -> None:
    codes, scale = torch.randint(-127, 128, (6, 35), dtype=torch.int8), torch.rand(scale_shape)
    found = gpu.ops.dequantise(codes.to(gpu.device), scale.to(gpu.device), dtype)
    assert found.dtype == dtype
    assert_rounded(found, TernaryWeight(codes, scale).dequantise())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_sums_are_scaled_as_the_training_forward_scales_them(gpu: Kernels, dtype: torch.dtype) -> None:
    sums = torch.randint(-(2**23), 2**23, (5, 40), dtype=torch.int32)[:, :33]  # rows that lie apart
    weight_scale, token_scale = torch.rand(1, 1), torch.rand(5, 1) / 256
    found = gpu.ops.scale_sums(sums.to(gpu.device), weight_scale.to(gpu.device), token_scale.to(gpu.device), dtype)
    assert_rounded(found, (sums.float() * weight_scale) * token_scale)
