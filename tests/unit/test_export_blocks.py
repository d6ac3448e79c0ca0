"""Ternary codes in ggml's blocks: ggml's own library must read what we write, and read it as what we meant."""

from __future__ import annotations

import numpy as np
import pytest
from gguf import quants
from hypothesis import given, settings
from hypothesis import strategies as st

from nanocore.errors import FormatError
from nanocore.export.blocks import FORMATS, Q4_0, TQ1_0, TQ2_0, BlockFormat, choose_format, pack_codes, unpack_codes

KINDS = [pytest.param(kind, id=kind.type.name) for kind in FORMATS.values()]


def random_codes(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1, 2, (rows, columns)).astype(np.int8)


@pytest.mark.parametrize("kind", KINDS)
def test_ggml_dequantises_codes_times_factors(kind: BlockFormat) -> None:
    codes = random_codes(7, 512)
    factors = np.random.default_rng(1).random((7, 512 // kind.columns)).astype(np.float16)
    found = quants.dequantize(pack_codes(codes, factors, kind), kind.type)
    assert np.array_equal(found, codes * np.repeat(factors.astype(np.float32), kind.columns, axis=1))


@pytest.mark.parametrize("kind", [TQ2_0, TQ1_0], ids=["TQ2_0", "TQ1_0"])
def test_bytes_are_those_of_ggmls_quantiser(kind: BlockFormat) -> None:
    codes = random_codes(5, 768)
    ours = pack_codes(codes, np.ones((5, 3)), kind)
    assert np.array_equal(ours, quants.quantize(codes.astype(np.float32), kind.type))


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(list(FORMATS.values())), st.integers(1, 5), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_any_codes_and_factors_come_back(kind: BlockFormat, rows: int, blocks: int, seed: int) -> None:
    codes = random_codes(rows, blocks * kind.columns, seed)
    factors = np.random.default_rng(seed).random((rows, blocks)).astype(np.float16)
    back, scales = unpack_codes(pack_codes(codes, factors, kind), kind, where="x")
    assert np.array_equal(back, codes) and np.array_equal(scales, factors)


def test_a_block_of_zeros_keeps_its_factor() -> None:
    _, factors = unpack_codes(pack_codes(np.zeros((1, 256), np.int8), np.full((1, 1), 0.5), TQ2_0), TQ2_0, where="x")
    assert factors.tolist() == [[0.5]]


@pytest.mark.parametrize(
    ("kind", "place", "value"), [(TQ2_0, 3, 0xFF), (TQ1_0, 3, 1), (TQ1_0, 50, 255), (Q4_0, 5, 0x21)]
)
def test_bytes_that_hold_no_codes_are_refused(kind: BlockFormat, place: int, value: int) -> None:
    data = pack_codes(random_codes(1, kind.columns), np.ones((1, 1)), kind)
    data[0, place] = value
    with pytest.raises(FormatError, match="not ternary codes"):
        unpack_codes(data, kind, where="x")


@pytest.mark.parametrize(
    ("columns", "group", "expected"),
    [(512, 0, TQ2_0), (512, 256, TQ2_0), (512, 128, Q4_0), (96, 0, Q4_0), (96, 48, None), (40, 0, None)],
)
def test_the_smallest_format_that_fits_is_chosen(columns: int, group: int, expected: BlockFormat | None) -> None:
    assert choose_format("tq2_0", columns, group) is expected
