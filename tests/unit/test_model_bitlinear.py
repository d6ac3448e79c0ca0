"""BitLinear: what it computes, its straight-through gradients, and what it keeps."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nanocore.model.bitlinear import BitLinear, frozen, make_linear, project
from nanocore.model.quantise import ternary_weight
from nanokernels.plain import token_codes
from tests.kept import kept_for_backward
from tests.models import model_config


def layer(inputs: int, outputs: int, group_size: int = 0, seed: int = 0) -> BitLinear:
    linear = BitLinear(inputs, outputs, group_size)
    nn.init.normal_(linear.weight, std=0.02, generator=torch.Generator().manual_seed(seed))
    return linear


def inputs(*shape: int, seed: int = 1, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype).requires_grad_()


def dequantised(x: Tensor, linear: BitLinear) -> tuple[Tensor, Tensor]:
    codes, scale = token_codes(x.detach())
    return codes.double() * scale.double(), ternary_weight(
        linear.weight.detach(), linear.group_size
    ).dequantise().double()


@pytest.mark.parametrize("group_size", [0, 8, 16])
def test_forward_is_the_product_of_the_dequantised_input_and_weight(group_size: int) -> None:
    linear, x = layer(32, 24, group_size), inputs(10, 32)
    x_q, w_q = dequantised(x, linear)
    assert torch.allclose(linear(x).double(), x_q @ w_q.T, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("group_size", [0, 8])
def test_gradients_are_straight_through(group_size: int) -> None:
    """dX = dY Wq and dW = dY^T Xq: dequantised, unmasked, also where inputs and weights were clipped or rounded to 0."""
    linear, x = layer(32, 24, group_size).double(), inputs(10, 32, dtype=torch.float64)
    d_y = torch.randn(10, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    linear(x).backward(d_y)
    x_q, w_q = dequantised(x, linear)
    assert x.grad is not None and linear.weight.grad is not None
    assert torch.allclose(x.grad, d_y @ w_q, rtol=1e-12, atol=1e-15)
    assert torch.allclose(linear.weight.grad, d_y.T @ x_q, rtol=1e-12, atol=1e-15)


def test_linears_that_share_an_input_get_the_same_outputs_and_gradients_as_alone() -> None:
    x, linears = inputs(2, 5, 16), [layer(16, width, seed=width) for width in (8, 12, 4)]
    together = project(x, linears)
    alone = [linear(x) for linear in linears]
    for one, other in zip(together, alone, strict=True):
        assert torch.equal(one, other)
    gradients = [torch.randn_like(output) for output in alone]
    parameters = [x, *(linear.weight for linear in linears)]
    shared = torch.autograd.grad(together, parameters, gradients)
    separate = torch.autograd.grad(alone, parameters, gradients)
    for one, other in zip(shared, separate, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-7)


def test_bfloat16_autocast_changes_the_products_but_not_the_codes() -> None:
    linear, x = layer(64, 32), inputs(6, 64)
    full = linear(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        narrow = linear(x)
    assert narrow.dtype == torch.bfloat16
    assert torch.equal(narrow, full.bfloat16())  # the exact sums, rounded once
    narrow.float().sum().backward()
    assert linear.weight.grad is not None and linear.weight.grad.dtype == torch.float32


def test_only_codes_are_kept_for_backward() -> None:
    linear, x = layer(256, 128), inputs(100, 256)
    with kept_for_backward(linear) as kept:
        output = linear(x)
    assert kept.bytes == 100 * 256 + 100 * 4 + 128 * 256 + 4  # input codes and scales, weight codes and scale
    assert output.requires_grad


def test_frozen_codes_follow_the_weights_again_afterwards() -> None:
    linear, x = layer(16, 8), inputs(3, 16)
    before = linear(x)
    with frozen(linear):
        assert torch.equal(linear(x), before)
        with torch.no_grad():
            linear.weight.neg_()
        assert torch.equal(linear(x), before)
    assert torch.equal(linear(x), -before)


def test_a_training_step_can_differentiate_only_what_needs_it() -> None:
    linear = layer(16, 8)
    linear(inputs(3, 16).detach()).sum().backward()
    assert linear.weight.grad is not None
    linear.weight.requires_grad_(False)
    x = inputs(3, 16)
    linear(x).sum().backward()
    assert x.grad is not None


def test_the_float_twin_is_a_plain_linear_of_the_same_shape() -> None:
    ternary = make_linear(model_config(group_size=16), 32, 48)
    twin = make_linear(model_config(linear="float"), 32, 48)
    assert isinstance(ternary, BitLinear) and ternary.group_size == 16
    assert isinstance(twin, nn.Linear) and not isinstance(twin, BitLinear) and twin.bias is None
    assert ternary.weight.shape == twin.weight.shape
    nn.init.normal_(twin.weight, generator=torch.Generator().manual_seed(3))
    x, d_y = inputs(5, 7, 32), torch.ones(5, 7, 48)
    y, expected = twin(x), F.linear(x, twin.weight)
    assert torch.equal(y, expected) and torch.equal(project(x, [twin, twin])[1], expected)
    leaves = (x, twin.weight)
    for found, plain in zip(*(torch.autograd.grad(each, leaves, d_y) for each in (y, expected)), strict=True):
        assert torch.equal(found, plain)
