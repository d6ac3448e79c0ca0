"""Blockwise codes: error bounds, zeros, ragged ends, packing, and rounding that is right on average."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nanocore.optim.quantised_state import LARGEST, Codes, Floats, Form, dequantise, dynamic_map, quantise

FORMS: list[Form] = ["int8", "int8-dynamic", "int4"]


def values(*shape: int) -> Tensor:
    """Gaussian values of very different sizes along the rows."""
    torch.manual_seed(1)
    return torch.randn(shape) * torch.logspace(-6, 3, shape[0])[:, None]


def round_trip(x: Tensor, form: Form, block: int, generator: torch.Generator | None = None) -> Tensor:
    codes, scales = quantise(x, form, block, generator)
    return dequantise(codes, scales, form, block, x.shape)


def block_scales(x: Tensor, block: int) -> Tensor:
    """The largest magnitude of each value's block, one block at a time."""
    return torch.cat([part.abs().max().expand(len(part)) for part in x.flatten().split(block)]).view(x.shape)


@pytest.mark.parametrize("block", [64, 256, 2048])
@pytest.mark.parametrize("form", ["int8", "int4"])
def test_linear_codes_are_wrong_by_half_a_step_at_most(form: Form, block: int) -> None:
    x = values(40, 33)
    step = block_scales(x, block) / LARGEST[form]
    error = (round_trip(x, form, block) - x).abs()
    assert (error <= step / 2 * (1 + 1e-5)).all()
    assert (error.max() / step[error == error.max()]).item() > 0.3  # and no finer than that


def test_dynamic_codes_are_the_nearest_of_the_map() -> None:
    x = values(40, 33)
    scales = block_scales(x, 64)
    table = dynamic_map(torch.device("cpu"))
    nearest = table[((x / scales)[..., None] - table).abs().argmin(-1)] * scales
    torch.testing.assert_close(round_trip(x, "int8-dynamic", 64), nearest, rtol=1e-6, atol=0)


def test_the_dynamic_map_is_dense_near_zero() -> None:
    table = dynamic_map(torch.device("cpu"))
    assert len(table) == 256 and bool((table[1:] > table[:-1]).all())
    assert table[127] == 0.0 and table[255] == 1.0
    assert torch.equal(table[:127], -table[128:255].flip(0))
    torch.testing.assert_close(table[[128, 129, 130, 254]], torch.tensor([5.5e-7, 3.25e-6, 7.75e-6, 0.99296875]))


@pytest.mark.parametrize("form", FORMS)
def test_zeros_stay_zeros_and_each_block_keeps_its_largest_value(form: Form) -> None:
    assert torch.equal(round_trip(torch.zeros(5, 70), form, 64), torch.zeros(5, 70))
    x = values(6, 64).abs()
    assert torch.equal(round_trip(x, form, 64).amax(1), x.amax(1))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (1, 64), (7, 37), (2, 4, 9)])
def test_any_shape_has_codes_for_its_values_and_a_scale_for_each_block(shape: tuple[int, ...], form: Form) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape)
    codes, scales = quantise(x, form, 64)
    assert codes.numel() == (-(-x.numel() // 2) if form == "int4" else x.numel()) and codes.element_size() == 1
    assert len(scales) == -(-x.numel() // 64)
    found = dequantise(codes, scales, form, 64, shape)
    assert found.shape == x.shape and (found - x).abs().max() < x.abs().max() / 10


def test_four_bit_codes_survive_packing() -> None:
    x = torch.arange(-7.0, 8.0)
    codes, scales = quantise(x, "int4", 64)
    assert codes.tolist()[:2] == [(-6 & 15) << 4 | (-7 & 15), (-4 & 15) << 4 | (-5 & 15)]
    assert torch.equal(dequantise(codes, scales, "int4", 64, x.shape), x)


@pytest.mark.parametrize("form", ["int8", "int8-dynamic"])
def test_stochastic_rounding_is_right_on_average_and_takes_only_neighbours(form: Form) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.linspace(-1.0, 1.0, 63).mul(0.97).pow(3)
    x = torch.cat([x, torch.ones(1)])
    draws = torch.stack([round_trip(x, form, 64, generator) for _ in range(400)])
    steps = torch.stack([column.unique()[[0, -1]] for column in draws.T])
    gap = steps[:, 1] - steps[:, 0]
    assert all(len(column.unique()) <= 2 for column in draws.T) and (gap > 0).sum() > 50
    error = (draws.mean(0) - x).abs()
    assert (error[gap > 0] <= gap[gap > 0] * 4 * 0.5 / 400**0.5).all() and error[gap == 0].max() < 1e-3
    assert (round_trip(x, form, 64) - x).abs().sum() > 3 * error.sum()


def test_stored_rounding_depends_on_seed_and_count_alone() -> None:
    x = values(8, 16)
    first, second, other = (Codes("m", (8, 16), "int8", 64, seed) for seed in (5, 5, 6))
    states = [store.slots(x) for store in (first, second, other)]
    for round in range(3):
        for store, state in zip((first, second, other), states, strict=True):
            torch.manual_seed(hash(store.seed) + round)  # the global generator has no part in it
            store.write(state, x)
        assert torch.equal(states[0]["m_codes"], states[1]["m_codes"])
        assert not torch.equal(states[0]["m_codes"], states[2]["m_codes"])
    before = states[0]["m_codes"].clone()
    first.write(states[0], x)
    assert not torch.equal(before, states[0]["m_codes"]) and states[0]["m_writes"] == 4


def test_a_store_reads_what_it_wrote_and_begins_with_zeros() -> None:
    x = values(8, 16)
    for store in (Floats("m", (8, 16)), Codes("m", (8, 16), "int8", 64), Codes("m", (8, 16), "int8-dynamic", 64)):
        state = store.slots(x)
        assert torch.equal(store.read(state, x.dtype), torch.zeros(8, 16))
        store.write(state, x)
        torch.testing.assert_close(
            store.read(state, torch.float64), x.double(), rtol=0.5, atol=x.abs().max().item() / 254
        )
