"""Packed ternary matrices give back what was packed, byte for byte as the numpy specification lays it out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nanokernels import reference
from nanokernels.packing import MAX_COLUMNS, pack, unpack
from nanokernels.reference import Layout

LAYOUTS: tuple[Layout, ...] = ("t2", "t5")


def random_codes(rows: int, columns: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-1, 2, (rows, columns), generator=generator).to(torch.int8)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 170),
    columns=st.integers(1, 70),
    layout=st.sampled_from(LAYOUTS),
    grouped=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_any_shape_comes_back_from_both_layouts(
    rows: int, columns: int, layout: Layout, grouped: bool, seed: int
) -> None:
    columns = columns * 8 if grouped else columns
    codes = random_codes(rows, columns, seed)
    scale = torch.rand(rows, 2) if grouped else torch.rand(1, 1)
    packed = pack(codes, scale, layout)
    back, back_scale = unpack(packed)
    assert torch.equal(back, codes) and torch.equal(back_scale, scale)
    assert np.array_equal(packed.data.numpy(), reference.pack_codes(codes.numpy(), layout))
    assert np.array_equal(reference.unpack_codes(packed.data.numpy(), rows, columns, layout), codes.numpy())


def test_a_weight_lies_where_the_documentation_says() -> None:
    codes = torch.zeros(64, 8, dtype=torch.int8)
    codes[2 * 16 + 5, 4 + 3] = 1  # field 2, lane 5; second line, column 3 of its four
    line = pack(codes, torch.ones(1, 1), "t2").data.view(2, 64)[1]
    assert line[5 * 4 + 3] == 0b01_10_01_01
    assert (line == 0b01_01_01_01).sum() == 63


def test_five_weights_are_the_digits_of_a_byte_in_base_three() -> None:
    codes = torch.zeros(80, 4, dtype=torch.int8)
    codes[[0, 16, 32, 48, 64], 0] = torch.tensor([1, 0, -1, 1, 1], dtype=torch.int8)
    assert pack(codes, torch.ones(1, 1), "t5").data[0] == 2 + 1 * 3 + 0 * 9 + 2 * 27 + 2 * 81


def test_sizes_are_two_bits_and_eight_fifths_of_a_bit_a_weight() -> None:
    codes = random_codes(320, 64)
    assert pack(codes, torch.ones(1, 1), "t2").data.numel() == 320 * 64 * 2 // 8
    assert pack(codes, torch.ones(1, 1), "t5").data.numel() == 320 * 64 // 5


def test_the_scale_is_kept_as_it_was_and_not_shared_with_the_caller() -> None:
    scale = torch.tensor([[1e-30, 0.1], [3.0, 7.0]])
    packed = pack(random_codes(2, 8), scale)
    kept = scale.clone()
    scale.zero_()
    assert torch.equal(unpack(packed)[1], kept)


@pytest.mark.parametrize(
    ("codes", "scale", "message"),
    [
        (random_codes(2, 8).float(), torch.ones(1, 1), "int8"),
        (torch.zeros(0, 4, dtype=torch.int8), torch.ones(1, 1), "non-empty"),
        (torch.full((2, 4), 2, dtype=torch.int8), torch.ones(1, 1), "ternary"),
        (torch.full((2, 4), -128, dtype=torch.int8), torch.ones(1, 1), "ternary"),
        (random_codes(2, 8), torch.ones(3, 1), "scale"),
        (random_codes(2, 8), torch.ones(2), "scale"),
        (random_codes(2, 12), torch.ones(2, 2), "multiple of 4"),
        (torch.zeros(1, MAX_COLUMNS + 1, dtype=torch.int8), torch.ones(1, 1), "131072"),
    ],
)
def test_what_cannot_be_packed_is_refused_with_the_reason(codes: Tensor, scale: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack(codes, scale)
