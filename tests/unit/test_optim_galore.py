"""GaLore-Muon: the subspace, what is remembered in it, when it is chosen again, and that it equals Muon at full rank."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from nanocore.optim import galore
from nanocore.optim.galore import SubspaceMomentum, leading_basis
from nanocore.optim.momentum import Momentum, wide_shape
from nanocore.optim.muon import Muon
from nanocore.optim.quantised_state import Codes, Floats, Store

SHAPES = [(12, 30), (30, 12), (16, 16)]


def subspace(
    shape: tuple[int, int], rank: int, *, every: int = 3, adaptive: bool = False, basis: Store | None = None
) -> SubspaceMomentum:
    side, length = min(shape), max(shape)
    basis = basis or Floats("projector", (rank, side))
    return SubspaceMomentum(basis, Floats("momentum_buffer", (rank, length)), (rank, length), every, adaptive)


def gradients(shape: tuple[int, int], count: int) -> list[Tensor]:
    torch.manual_seed(4)
    return [torch.randn(shape, dtype=torch.float64) for _ in range(count)]


def low_rank(shape: tuple[int, int], rank: int, noise: float = 0.0) -> Tensor:
    torch.manual_seed(5)
    product = torch.randn(shape[0], rank, dtype=torch.float64) @ torch.randn(rank, shape[1], dtype=torch.float64)
    return product + noise * torch.randn(shape, dtype=torch.float64)


@pytest.mark.parametrize("exact_side", [512, 0])
@pytest.mark.parametrize("rank", [1, 4])
def test_the_basis_is_orthonormal_and_spans_the_leading_singular_vectors(
    rank: int, exact_side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(galore, "EXACT_SIDE", exact_side)
    matrix = low_rank((48, 80), 4, 1e-3) * torch.logspace(0, 1, 48, dtype=torch.float64)[:, None]
    basis = leading_basis(matrix, rank)
    assert basis.shape == (rank, 48)
    torch.testing.assert_close(basis @ basis.mT, torch.eye(rank, dtype=torch.float64), rtol=0, atol=1e-12)
    vectors = torch.linalg.svd(matrix).U[:, :rank]
    torch.testing.assert_close(basis.mT @ basis, vectors @ vectors.mT, rtol=0, atol=1e-6)


def test_the_randomised_basis_repeats_and_leaves_other_generators_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(galore, "EXACT_SIDE", 0)
    matrix = low_rank((48, 80), 20, 1.0).float()
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first = leading_basis(matrix, 6)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(leading_basis(matrix, 6), first)
    kept, best = (first @ matrix).norm(), torch.linalg.svdvals(matrix)[:6].norm()
    assert kept > 0.99 * best


@pytest.mark.parametrize("form", ["int8", "int4"])
def test_a_quantised_projector_is_nearly_orthonormal(form: str) -> None:
    store = Codes("projector", (8, 64), "int8" if form == "int8" else "int4", 64)
    momentum = subspace((64, 96), 8, basis=store)
    state = momentum.slots(torch.zeros(1))
    momentum.direction(low_rank((64, 96), 20).float(), state, 0.9, True)
    basis = store.read(state, torch.float32)
    assert (basis @ basis.mT - torch.eye(8)).abs().max() < (0.02 if form == "int8" else 0.15)


def test_a_gradient_is_projected_by_the_quantised_basis_that_lifts_its_update() -> None:
    momentum = subspace((16, 24), 4, basis=Codes("projector", (4, 16), "int4", 16))
    gradient = gradients((16, 24), 1)[0]
    state = momentum.slots(gradient)
    found = momentum.direction(gradient, state, decay=0.0, nesterov=False)  # remembers nothing before
    lifting = momentum.lift(torch.eye(4, dtype=torch.float64), state)
    torch.testing.assert_close(found, lifting.mT @ gradient)


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_at_full_rank_it_is_muon(shape: tuple[int, int], nesterov: bool) -> None:
    torch.manual_seed(0)
    start = torch.randn(shape, dtype=torch.float64)
    plain, projected = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    both = [
        Muon([plain], 0.1, nesterov=nesterov, weight_decay=0.1),
        Muon([projected], 0.1, nesterov=nesterov, weight_decay=0.1, memory=lambda p, _: subspace(shape, min(shape))),
    ]
    for gradient in gradients(shape, 8):  # over three choices of the subspace
        plain.grad = projected.grad = gradient
        for optimizer in both:
            optimizer.step()
        torch.testing.assert_close(projected, plain, rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_update_lies_in_the_subspace_and_moves_each_direction_as_muon_does(shape: tuple[int, int]) -> None:
    momentum = subspace(shape, 4)
    state = momentum.slots(torch.zeros(1, dtype=torch.float64))
    direction = momentum.direction(gradients(shape, 1)[0], state, 0.9, True)
    assert direction.shape == (4, max(shape)) == momentum.shape
    isometry = torch.linalg.qr(direction.mT).Q.mT
    update = momentum.lift(isometry, state)
    assert update.shape == wide_shape(torch.Size(shape))
    torch.testing.assert_close(torch.linalg.svdvals(update)[:4], torch.ones(4, dtype=torch.float64))
    basis = state["projector"]
    torch.testing.assert_close(basis.mT @ (basis @ update), update)


def test_momentum_is_that_of_the_projected_gradients() -> None:
    first, *later = gradients((12, 30), 3)
    momentum = subspace((12, 30), 4)
    state = momentum.slots(first)
    basis = leading_basis(first, 4)
    buffer = torch.zeros(4, 30, dtype=torch.float64)
    for gradient in (first, *later):
        found = momentum.direction(gradient, state, 0.9, True)
        buffer = 0.9 * buffer + 0.1 * basis @ gradient
        torch.testing.assert_close(found, 0.1 * basis @ gradient + 0.9 * buffer)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_refresh_keeps_the_part_of_the_momentum_in_the_new_subspace(shape: tuple[int, int]) -> None:
    momentum = subspace(shape, 4, every=2)
    first, second, third = gradients(shape, 3)
    state = momentum.slots(first)
    for gradient in (first, second):
        momentum.direction(gradient, state, 0.5, True)
    old_basis, remembered = state["projector"].clone(), state["projector"].mT @ state["momentum_buffer"]
    momentum.direction(third, state, 1.0, True)  # a decay of 1 remembers nothing new
    basis = state["projector"]
    assert not torch.equal(basis, old_basis)
    torch.testing.assert_close(basis.mT @ state["momentum_buffer"], basis.mT @ basis @ remembered)
    assert state["momentum_buffer"].abs().max() > 0


def refreshes(momentum: SubspaceMomentum, given: list[Tensor]) -> list[int]:
    """The steps at which the subspace was chosen."""
    state, steps, done = momentum.slots(given[0]), [], 0
    for step, gradient in enumerate(given):
        momentum.direction(gradient, state, 0.9, True)
        if int(state["refresh_counters"][2]) > done:
            done += 1
            steps.append(step)
    return steps


def test_the_subspace_is_chosen_at_the_first_step_and_every_so_many() -> None:
    assert refreshes(subspace((12, 30), 4, every=3), gradients((12, 30), 10)) == [0, 3, 6, 9]
    assert refreshes(subspace((12, 30), 4, every=1), gradients((12, 30), 3)) == [0, 1, 2]


def test_a_gradient_of_zeros_chooses_no_subspace() -> None:
    zero, given = torch.zeros(12, 30, dtype=torch.float64), gradients((12, 30), 5)
    momentum = subspace((12, 30), 4, every=3)
    assert refreshes(momentum, [zero, zero, *given]) == [2, 5]
    state = momentum.slots(zero)
    assert momentum.direction(zero, state, 0.9, True).abs().max() == 0


def test_a_subspace_that_stays_is_looked_for_less_often() -> None:
    steady = [low_rank((12, 30), 1, 0.1)] * 40
    assert refreshes(subspace((12, 30), 4, every=1, adaptive=True), steady) == [0, 1, 2, 3, 4, 5, 7, 11, 19, 35]
    turning = gradients((12, 30), 40)
    for gradient, number in zip(turning, range(40), strict=True):
        gradient[number % 12] *= 100  # the leading vector is another one each time
    assert refreshes(subspace((12, 30), 4, every=1, adaptive=True), turning) == list(range(40))
    assert refreshes(subspace((12, 30), 4, every=1), steady) == list(range(40))


@pytest.mark.parametrize(("cosine", "steps"), [(0.5, [0, 1, 2, 3, 4, 5, 7, 11]), (0.3, list(range(12)))])
def test_leading_vectors_are_close_from_a_mean_cosine_of_four_tenths(
    cosine: float, steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    angles = iter(turn * math.acos(cosine) for turn in range(12))

    def turned(matrix: Tensor, rank: int) -> Tensor:
        angle = next(angles)
        return torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=matrix.dtype)

    monkeypatch.setattr(galore, "leading_basis", turned)
    assert refreshes(subspace((2, 5), 1, every=1, adaptive=True), gradients((2, 5), 12)) == steps


def test_the_sign_of_a_singular_vector_means_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    steady, signs = [low_rank((12, 30), 1, 0.1)] * 12, iter([1, -1] * 10)
    true = galore.leading_basis
    monkeypatch.setattr(galore, "leading_basis", lambda matrix, rank: next(signs) * true(matrix, rank))
    assert refreshes(subspace((12, 30), 4, every=1, adaptive=True), steady) == [0, 1, 2, 3, 4, 5, 7, 11]


def test_subspaces_of_one_shape_are_orthogonalised_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    from nanocore.optim import muon

    calls: list[tuple[int, ...]] = []
    true = muon.orthogonalise
    monkeypatch.setattr(muon, "orthogonalise", lambda x, *how: calls.append(tuple(x.shape)) or true(x, *how))
    params = [nn.Parameter(torch.zeros(shape)) for shape in [(12, 30), (30, 12), (12, 30)]]
    for parameter in params:
        parameter.grad = torch.randn(parameter.shape)

    def memory(parameter: Tensor, index: int) -> Momentum:
        return subspace((parameter.shape[0], parameter.shape[1]), 3)

    Muon(params, 0.1, memory=memory).step()
    assert calls == [(3, 3, 30)]
