"""The quantisers of BitNet b1.58 against their formulas."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nanocore.model.quantise import ternary_weight
from nanokernels.plain import token_codes


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_weight_codes_are_the_weight_over_its_absmean_rounded_and_clipped() -> None:
    weight = normal(48, 32) * 0.02
    codes, scale = ternary_weight(weight)
    assert scale.shape == (1, 1)
    assert float(scale) == float(weight.abs().mean())
    assert torch.equal(codes, (weight / weight.abs().mean()).round().clip(-1, 1).to(torch.int8))
    assert set(codes.unique().tolist()) == {-1, 0, 1}


def test_groups_of_input_columns_have_their_own_scale_in_each_row() -> None:
    weight = normal(6, 32) * torch.linspace(0.1, 2.0, 32)
    codes, scale = ternary_weight(weight, group_size=8)
    assert scale.shape == (6, 4)
    for row in range(6):
        for group in range(4):
            part = weight[row, group * 8 : group * 8 + 8]
            assert float(scale[row, group]) == pytest.approx(float(part.abs().mean()), rel=1e-6)
            expected = (part / scale[row, group]).round().clip(-1, 1).to(torch.int8)
            assert torch.equal(codes[row, group * 8 : group * 8 + 8], expected)


def test_dequantised_weights_are_codes_times_scale() -> None:
    for group_size in (0, 8):
        quantised = ternary_weight(normal(5, 16), group_size)
        columns = 16 // quantised.scale.shape[1]
        expected = quantised.codes.float() * quantised.scale.expand(5, -1).repeat_interleave(columns, 1)[:, :16]
        assert torch.equal(quantised.dequantise(), expected)


def test_gaussian_weights_have_about_31_percent_zeros() -> None:
    codes, _ = ternary_weight(normal(512, 512))
    assert float((codes == 0).float().mean()) == pytest.approx(0.310, abs=0.005)


def test_scaling_a_weight_scales_its_quantisation_and_keeps_its_codes() -> None:
    weight = normal(16, 16)
    plain, double = ternary_weight(weight), ternary_weight(weight * 2)
    assert torch.equal(plain.codes, double.codes)
    assert torch.equal(plain.scale * 2, double.scale)


def test_token_codes_reach_127_and_stay_within_half_a_step() -> None:
    x = normal(20, 33) * torch.logspace(-3, 3, 20)[:, None]
    codes, scale = token_codes(x)
    assert torch.equal(codes, codes.round())
    assert codes.abs().amax(dim=1).tolist() == [127.0] * 20
    assert torch.allclose(scale[:, 0], x.abs().amax(dim=1) / 127)
    assert bool(((codes * scale - x).abs() <= scale * 0.5001).all())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=12))
def test_no_token_has_a_code_outside_127(values: list[float]) -> None:
    codes, scale = token_codes(torch.tensor([values]))
    assert float(codes.abs().max()) <= 127
    assert bool(scale.isfinite().all())


def test_all_zero_input_quantises_to_zero() -> None:
    assert not token_codes(torch.zeros(2, 4)).codes.any()
    codes, scale = ternary_weight(torch.zeros(4, 4))
    assert not codes.any()
    assert float(scale) == 0.0


def test_quantisers_decide_in_float32_whatever_the_input_dtype() -> None:
    x = normal(8, 32)
    for narrow in (x.bfloat16(), x.half()):
        assert torch.equal(token_codes(narrow).codes, token_codes(narrow.float()).codes)
        assert torch.equal(ternary_weight(narrow).codes, ternary_weight(narrow.float()).codes)
        assert token_codes(narrow).scale.dtype == ternary_weight(narrow).scale.dtype == torch.float32
