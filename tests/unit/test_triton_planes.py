"""The GPU's packing: every code comes back, and each byte means what the kernels take it to mean."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nanokernels.triton_planes import pack_planes, pad_groups, plane_offsets
from tests.planes import unpack_planes


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 200), st.booleans(), st.integers(0, 2**31))
def test_any_matrix_comes_back(rows: int, groups: int, width: int, tensor_scale: bool, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(-1, 2, (rows, groups * width), generator=generator, dtype=torch.int8)
    scale = torch.rand((1, 1) if tensor_scale else (rows, groups), generator=generator)
    planes = pack_planes(codes, scale)
    unpacked, unpacked_scale = unpack_planes(planes)
    assert torch.equal(unpacked, codes) and torch.equal(unpacked_scale, scale)
    assert planes.plane % 16 == 0 and planes.data.shape == (rows, planes.groups * planes.plane)


def test_a_byte_holds_one_column_of_each_quarter_and_needs_no_shift() -> None:
    codes = torch.zeros(1, 64, dtype=torch.int8)
    codes[0, [3, 19, 35, 51]] = torch.tensor([1, -1, 0, -1], dtype=torch.int8)
    data = pack_planes(codes, torch.ones(1, 1)).data
    assert data.shape == (1, 16) and data.dtype == torch.int8
    byte = int(data[0, 3])
    assert [byte & 3, byte & 12, byte & 48, byte & -64] == [1 + 1, 4 * (-1 + 1), 16 * (0 + 1), 64 * -1]
    assert set(data[0, [0, 15]].tolist()) == {1 + 4 + 16}


def test_masked_bytes_times_padded_codes_less_the_offsets_are_the_sums() -> None:
    """The kernel's arithmetic, in torch."""
    x = torch.randint(-127, 128, (3, 140), dtype=torch.int8)
    codes = torch.randint(-1, 2, (5, 140), dtype=torch.int8)
    planes = pack_planes(codes, torch.ones(5, 2))
    padded = pad_groups(x, 2)
    for group in range(2):
        data = planes.data[:, group * planes.plane : (group + 1) * planes.plane]
        token = padded[:, group * 4 * planes.plane : (group + 1) * 4 * planes.plane].long()
        masked = [(data & mask).long() // part for mask, part in ((3, 1), (12, 4), (48, 16), (-64, 64))]
        sums = token @ torch.cat(masked, dim=1).T - plane_offsets(padded, 2)[:, group : group + 1]
        part = slice(70 * group, 70 * (group + 1))
        assert torch.equal(sums, x[:, part].long() @ codes[:, part].long().T)


@pytest.mark.parametrize("shape", [(2, 1), (1, 3), (4, 5), (3, 1)])
def test_a_scale_that_does_not_fit_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        pack_planes(torch.zeros(4, 12, dtype=torch.int8), torch.ones(shape))
