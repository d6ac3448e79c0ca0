"""The three kinds of residual map: the published formulas, what they bound, and where they begin."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from nanocore.analysis.stream_maps import composite_gains, second_eigenvalue
from nanocore.model.residual_maps import KINDS, Kind, doubly_stochastic, mixed_share, permutation_matrices, sinkhorn


def rows(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def sinkhorn_loop(logits: Tensor, iterations: int = 20) -> Tensor:
    """Sinkhorn-Knopp as the mHC paper writes it: M(t) = rows(columns(M(t - 1))), M(0) = exp(logits)."""
    matrix = logits.exp()
    for _ in range(iterations):
        matrix = matrix / matrix.sum(-2, keepdim=True)
        matrix = matrix / matrix.sum(-1, keepdim=True)
    return matrix


def test_there_are_n_factorial_different_permutations_and_the_identity_is_first() -> None:
    matrices = permutation_matrices(4, torch.device("cpu"), torch.float32)
    assert matrices.shape == (24, 4, 4) and len({tuple(m.flatten().tolist()) for m in matrices}) == 24
    assert torch.equal(matrices[0], torch.eye(4))


@pytest.mark.parametrize("streams", [2, 4])
def test_sinkhorn_is_the_plain_loop_in_float64(streams: int) -> None:
    """At this spread 20 iterations are not enough, so their number and order show."""
    logits = (rows(64, streams, streams) * 6).double()
    found, expected = sinkhorn(logits), sinkhorn_loop(logits)
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)
    assert not torch.allclose(found, sinkhorn_loop(logits, 19), rtol=0, atol=1e-6)
    assert not torch.allclose(found, sinkhorn_loop(logits.mT).mT, rtol=0, atol=1e-6)


def test_sinkhorn_gradients_are_those_of_the_plain_loop() -> None:
    logits, d_map = (rows(8, 4, 4) * 3).double().requires_grad_(), rows(8, 4, 4, seed=1).double()
    (found,) = torch.autograd.grad(sinkhorn(logits), logits, d_map)
    (expected,) = torch.autograd.grad(sinkhorn_loop(logits), logits, d_map)
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)


def test_sinkhorn_rows_sum_to_one_and_columns_only_nearly() -> None:
    maps = sinkhorn(rows(4096, 4, 4) * 4)
    assert bool((maps >= 0).all()) and float((maps.sum(-1) - 1).abs().max()) <= 1e-6
    errors = (maps.sum(-2) - 1).abs().amax(-1)
    assert float(errors.median()) < 0.01 < 0.05 < float(errors.max())  # what mHC-lite was made against


def test_logits_beyond_the_range_of_exp_still_make_a_map() -> None:
    logits = torch.tensor([[0.0, -300.0], [-300.0, -300.0]], requires_grad=True)
    found = sinkhorn(logits)
    found.square().sum().backward()
    assert logits.grad is not None and bool(logits.grad.isfinite().all())
    assert torch.allclose(found.sum(-1), torch.ones(2))


def test_the_product_of_free_maps_grows_and_that_of_permutations_keeps_its_gain() -> None:
    """60 factors I + 0.1 N: median gain 6.8; 96 factors of mHC-lite: 1 within 2.5e-6 in float32."""
    free, exact = torch.eye(4).expand(64, 4, 4), torch.eye(4).expand(64, 4, 4)
    for seed in range(60):
        free = (torch.eye(4) + 0.1 * rows(64, 4, 4, seed=seed)) @ free
    for seed in range(96):
        exact = doubly_stochastic((rows(64, 24, seed=seed) * 4).softmax(-1)) @ exact
    assert 5 < float(free.abs().sum(-1).amax(-1).median()) < 10
    assert min(composite_gains(free)) > 3
    assert all(abs(gain - 1) <= 2.5e-6 for gain in composite_gains(exact))


@pytest.mark.parametrize("streams", [2, 4])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_all_kinds_begin_at_the_same_map(share: float, streams: int) -> None:
    expected = (1 - share) * torch.eye(streams) + share / streams
    for kind, make in KINDS.items():
        residual = make(streams)
        initial = residual.initial(share)
        assert initial.shape == (residual.size,)
        found = residual.matrix(initial)[0].float()
        # The constrained kinds reach the identity only in the limit; theirs is the published start, exp(-8) beside it.
        assert torch.allclose(found, expected, atol=1e-6 if share or kind == "unconstrained" else 0.01)
        assert second_eigenvalue(found) == pytest.approx(1 - share, abs=0.01)


@pytest.mark.parametrize(("kind", "logits"), [("lite", 24), ("sinkhorn", 16), ("unconstrained", 16)])
def test_sizes_of_the_logits(kind: Kind, logits: int) -> None:
    assert KINDS[kind](4).size == logits


def test_published_identities() -> None:
    assert KINDS["lite"](2).initial(0.0).tolist() == [0.0, -8.0]
    assert KINDS["sinkhorn"](2).initial(0.0).tolist() == [0.0, -8.0, -8.0, 0.0]
    assert KINDS["unconstrained"](2).initial(0.0).tolist() == [1.0, 0.0, 0.0, 1.0]


def test_the_share_mixed_at_the_start() -> None:
    assert [mixed_share("identity", index, 5) for index in range(5)] == [0.0] * 5
    assert [mixed_share("balanced", index, 5) for index in range(5)] == [0.9] * 5
    assert [mixed_share("depth", index, 5) for index in range(5)] == [0.0, 0.125, 0.25, 0.375, 0.5]


def test_even_mixing_is_the_mean_of_all_permutations() -> None:
    weights = KINDS["lite"](4).initial(1.0).softmax(-1)
    assert weights.tolist() == pytest.approx([1 / 24] * 24)
    assert math.isclose(float(doubly_stochastic(weights)[0, 3]), 0.25)
