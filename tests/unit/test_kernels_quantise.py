"""Every native quantiser gives training's codes and scales, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from nanokernels import native_ops, reference
from nanokernels.paths import NATIVE, NativePath, available_paths
from nanokernels.plain import token_codes

NATIVES = [path for path in NATIVE if path in available_paths()]
each = pytest.mark.parametrize("path", NATIVES)


def assert_as_training(x: Tensor, path: NativePath) -> None:
    codes, scale = native_ops.quantise(x, path)
    expected = token_codes(x)
    assert torch.equal(codes.float(), expected.codes)
    assert torch.equal(scale, expected.scale[:, 0])


@each
@pytest.mark.parametrize("columns", [1, 3, 4, 15, 16, 31, 64, 769, 4096])
def test_random_tokens_of_any_width_and_size(path: NativePath, columns: int) -> None:
    generator = torch.Generator().manual_seed(columns)
    sizes = torch.logspace(-44, 38, 40).unsqueeze(1)
    assert_as_training((torch.rand(40, columns, generator=generator) * 2 - 1) * sizes, path)


@each
def test_halves_go_to_the_even_code(path: NativePath) -> None:
    halves = torch.arange(-126.5, 127, 1.0)
    assert_as_training(torch.cat([torch.tensor([127.0]), halves]).unsqueeze(0), path)
    codes, _ = native_ops.quantise(torch.tensor([[127.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5]]), path)
    assert codes[0].tolist() == [127, 0, 2, 2, 0, -2, -2]


@each
@settings(max_examples=150, deadline=None)
@given(x=arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(1, 40)), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))  # fmt: skip
def test_any_finite_token(path: NativePath, x: np.ndarray) -> None:
    assert_as_training(torch.from_numpy(x), path)


@each
def test_the_smallest_scale_holds_for_zeros_and_denormals(path: NativePath) -> None:
    x = torch.zeros(3, 20)
    x[1, 3], x[2, 7] = 1e-40, 9e-6
    assert_as_training(x, path)


@each
def test_every_place_of_a_token_is_looked_at_for_nan_and_infinity(path: NativePath) -> None:
    x = torch.ones(21, 21)
    x.fill_diagonal_(torch.nan)
    x[20, 20] = torch.inf
    codes, scale = native_ops.quantise(x, path)
    assert bool(scale.isnan().all()) and not bool(codes.any())


def test_the_numpy_quantiser_is_training_s_too() -> None:
    x = torch.randn(50, 333) * torch.logspace(-8, 8, 50).unsqueeze(1)
    expected = token_codes(x)
    codes, scale = reference.quantise_tokens(x.numpy())
    assert np.array_equal(codes, expected.codes.to(torch.int8).numpy()) and np.array_equal(
        scale, expected.scale.numpy()
    )
