"""Triangle of truth: training's forward, the numpy specification and every kernel path agree.

Sums of codes are the same whole numbers on each path; what they scale to differs by float32 rounding at most.
"""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from nanocore.model.quantise import ternary_weight
from nanocore.model.ternary_products import scaled_product
from nanokernels import ops
from nanokernels.packing import MAX_COLUMNS, PackedTernary, pack
from nanokernels.paths import available_paths
from nanokernels.plain import token_codes
from nanokernels.reference import Layout
from tests.quick import checkered

PATHS: list[ops.Path] = [path for path in available_paths() if path != "reference"]
LAYOUTS: tuple[Layout, ...] = ("t2", "t5")
SHAPES = [(1, 1), (3, 5), (63, 4), (65, 7), (80, 4), (81, 64), (256, 256), (1000, 1032), (130, 4096)]
both = pytest.mark.parametrize(("path", "layout"), list(itertools.product(PATHS, LAYOUTS)))


def random_codes(rows: int, columns: int, largest: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-largest, largest + 1, (rows, columns), generator=generator).to(torch.int8)


def exact(tokens: Tensor, codes: Tensor, groups: int) -> Tensor:
    """Sums (groups, N, M) in float64, which holds them exactly."""
    parts = zip(tokens.double().chunk(groups, 1), codes.double().chunk(groups, 1), strict=True)
    return torch.stack([x @ w.mT for x, w in parts]).to(torch.int32)


def relative_error(y: Tensor, expected: Tensor) -> float:
    return float((y - expected).abs().max() / expected.abs().max().clamp(min=1e-30))


@pytest.mark.parametrize(("path", "layout", "shape"), checkered(PATHS, LAYOUTS, SHAPES))
def test_sums_are_exact_for_every_shape_and_number_of_tokens(
    path: ops.Path, layout: Layout, shape: tuple[int, int]
) -> None:
    rows, columns = shape
    codes = random_codes(rows, columns, 1)
    for groups in (groups for groups in (1, 2) if groups == 1 or columns % 8 == 0):
        packed = pack(codes, torch.ones(rows, groups), layout)
        for tokens in (1, 2, 3, 4, 5, 6, 7, 50):
            x = random_codes(tokens, columns, 127, seed=tokens)
            assert torch.equal(ops.int_sums(x, packed, path=path, threads=2), exact(x, codes, groups)), (groups, tokens)


@pytest.mark.parametrize(("path", "layout", "tokens"), checkered(PATHS, LAYOUTS, [1, 2, 6]))
def test_the_worst_case_does_not_overflow(path: ops.Path, layout: Layout, tokens: int) -> None:
    """Every product as large as it can be, in either sign: 16-bit sums and scaled fields come to their limits."""
    columns = 99_000 if path != "torch" else 9_900  # test_kernels_int_matmul.py has the largest sums of torch
    for weight, code in ((1, 127), (-1, 127), (1, -127), (-1, -127), (0, 127)):
        codes = torch.full((81, columns), weight, dtype=torch.int8)
        x = torch.full((tokens, columns), code, dtype=torch.int8)
        sums = ops.int_sums(x, pack(codes, torch.ones(1, 1), layout), path=path)
        assert bool((sums == weight * code * columns).all()), (weight, code)


@pytest.mark.parametrize("path", [path for path in PATHS if path != "torch"])
def test_the_widest_matrix_and_the_most_negative_code_are_still_exact(path: ops.Path) -> None:
    packed = pack(torch.ones(1, MAX_COLUMNS, dtype=torch.int8), torch.ones(1, 1))
    x = torch.full((2, MAX_COLUMNS), -128, dtype=torch.int8)
    assert bool((ops.int_sums(x, packed, path=path) == -128 * MAX_COLUMNS).all())


@both
def test_every_byte_of_a_line_is_read_rightly(path: ops.Path, layout: Layout) -> None:
    """All combinations of the weights that share a byte, in each of its four columns."""
    fields = 4 if layout == "t2" else 5
    combinations = torch.tensor(
        list(itertools.product((-1, 0, 1), repeat=fields)), dtype=torch.int8
    )  # (3^fields, fields)
    columns = combinations.T.repeat_interleave(4, dim=1)  # (fields, 4 * 3^fields)
    codes = columns.repeat_interleave(16, dim=0)  # each field has 16 rows
    packed = pack(codes.contiguous(), torch.ones(1, 1), layout)
    x = torch.eye(codes.shape[1], dtype=torch.int8)
    assert torch.equal(ops.int_sums(x, packed, path=path)[0], codes.T.int())


@pytest.mark.parametrize(("path", "layout", "groups", "tokens"), checkered(PATHS, LAYOUTS, [0, 1, 4], [1, 7]))
def test_a_layer_gives_what_training_computes(path: ops.Path, layout: Layout, groups: int, tokens: int) -> None:
    generator = torch.Generator().manual_seed(3)
    latent = torch.randn(200, 256, generator=generator)
    x = torch.randn(tokens, 256, generator=generator) * torch.logspace(-6, 3, tokens).unsqueeze(1)
    matrix = ternary_weight(latent, 256 // groups if groups else 0)
    y = ops.ternary_linear(x, pack(*matrix, layout), path=path, threads=2)
    expected = scaled_product(token_codes(x), matrix, torch.float32)
    assert max(relative_error(a, b) for a, b in zip(y, expected, strict=True)) < 1e-6
    assert relative_error(y, ops.ternary_linear(x, pack(*matrix, layout), path="reference")) < 1e-5
    if not groups:
        assert torch.equal(y, expected)  # the same operations in the same order


@both
def test_zeros_give_zeros(path: ops.Path, layout: Layout) -> None:
    nothing = pack(torch.zeros(70, 12, dtype=torch.int8), torch.zeros(1, 1), layout)
    assert torch.equal(ops.ternary_linear(torch.randn(3, 12), nothing, path=path), torch.zeros(3, 70))
    something = pack(random_codes(70, 12, 1), torch.rand(70, 1), layout)
    assert torch.equal(ops.ternary_linear(torch.zeros(3, 12), something, path=path), torch.zeros(3, 70))


@pytest.mark.parametrize("path", [*PATHS, "reference"])
def test_a_token_that_is_not_finite_gives_nan_and_leaves_the_others_alone(path: ops.Path) -> None:
    packed = pack(random_codes(70, 20, 1), torch.ones(1, 1))
    x = torch.randn(4, 20)
    clean = ops.ternary_linear(x, packed, path=path)
    x[1, 17], x[2, 0] = torch.nan, -torch.inf
    y = ops.ternary_linear(x, packed, path=path)
    assert bool(y[1].isnan().all()) and bool(y[2].isnan().all())
    assert torch.equal(y[[0, 3]], clean[[0, 3]])


@pytest.mark.parametrize("way", ["int8", "float32"])
def test_so_it_does_with_either_product_of_torch(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """int8 codes have no NaN that could come through: there the scale brings it."""
    monkeypatch.setattr("nanokernels.int_matmul.chosen_path", lambda device, rows: way)
    x = torch.ones(3, 20)
    x[1, 17], x[2, 0] = torch.nan, -torch.inf
    y = ops.ternary_linear(x, pack(random_codes(70, 20, 1), torch.ones(1, 1)), path="torch")
    assert bool(y[1:].isnan().all()) and bool(y[0].isfinite().all())


@pytest.mark.parametrize("path", PATHS)
def test_inputs_that_lie_apart_in_memory_are_read_rightly(path: ops.Path) -> None:
    packed = pack(random_codes(33, 16, 1), torch.ones(1, 1))
    x = torch.randn(16, 5).mT
    assert torch.equal(ops.ternary_linear(x, packed, path=path), ops.ternary_linear(x.contiguous(), packed, path=path))


def test_all_native_paths_give_the_same_bits_with_group_scales() -> None:
    packed: PackedTernary = pack(random_codes(150, 512, 1), torch.rand(150, 8))
    x = torch.randn(9, 512)
    natives = [path for path in PATHS if path != "torch"]
    outputs = [ops.ternary_linear(x, packed, path=path, threads=threads) for path in natives for threads in (1, 3)]
    assert all(torch.equal(outputs[0], other) for other in outputs[1:])


@pytest.mark.parametrize(
    "x", [torch.zeros(2, 8), torch.zeros(7), torch.zeros(2, 7, dtype=torch.float64), torch.zeros(2, 7, device="meta")]
)
def test_tokens_that_do_not_fit_are_refused(x: Tensor) -> None:
    with pytest.raises(ValueError, match=r"\(N, 7\) torch.float32 on cpu is needed"):
        ops.ternary_linear(x, pack(random_codes(3, 7, 1), torch.ones(1, 1)))


@pytest.mark.parametrize("path", [*PATHS, "reference"])
def test_no_tokens_have_no_outputs(path: ops.Path) -> None:
    packed = pack(random_codes(70, 16, 1), torch.rand(70, 2))
    assert ops.ternary_linear(torch.empty(0, 16), packed, path=path).shape == (0, 70)
    assert ops.int_sums(torch.empty(0, 16, dtype=torch.int8), packed, path=path).shape == (2, 0, 70)


@pytest.mark.parametrize("path", [*PATHS, "reference"])
@pytest.mark.parametrize("threads", [0, -1, 1000])
def test_a_number_of_threads_that_makes_no_sense_is_refused(
    path: ops.Path, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nanokernels.native_ops.cpus", lambda: 2)
    packed = pack(random_codes(70, 16, 1), torch.ones(1, 1))
    with pytest.raises(ValueError, match=f"threads: {threads} is not between 1 and 64"):
        ops.ternary_linear(torch.ones(1, 16), packed, path=path, threads=threads)
    with pytest.raises(ValueError, match=f"threads: {threads} is not between 1 and 64"):
        ops.int_sums(torch.ones(1, 16, dtype=torch.int8), packed, path=path, threads=threads)
