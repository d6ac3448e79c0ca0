"""Muon against its formula, against torch's own, and against what Newton-Schulz must satisfy."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nanocore.limits import STACK_BYTES
from nanocore.optim import muon
from nanocore.optim.muon import Muon, orthogonalise, shape_factor

SHAPES = [(8, 8), (6, 20), (20, 6), (5, 7)]


def newton_schulz(x: Tensor, steps: int = 5) -> Tensor:
    """The iteration as published, one matrix at a time."""
    if x.shape[0] > x.shape[1]:
        return newton_schulz(x.T, steps).T
    a, b, c = 3.4445, -4.7750, 2.0315
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


def parameters(dtype: torch.dtype = torch.float64) -> list[nn.Parameter]:
    torch.manual_seed(3)
    return [nn.Parameter(torch.randn(shape, dtype=dtype)) for shape in SHAPES]


def give_gradients(params: list[nn.Parameter], seed: int) -> None:
    torch.manual_seed(seed)
    for parameter in params:
        parameter.grad = torch.randn(parameter.shape, dtype=torch.float64).to(parameter.dtype)


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("scale", ["original", "match_rms_adamw"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 2e-5)])
def test_three_steps_follow_the_formula(nesterov: bool, scale: str, dtype: torch.dtype, tolerance: float) -> None:
    params = parameters(dtype)
    optimizer = Muon(params, 0.1, momentum=0.9, nesterov=nesterov, shape_scale=scale, weight_decay=0.3)
    expected = [p.detach().double().clone() for p in params]
    buffers = [torch.zeros_like(e) for e in expected]
    for seed in range(3):
        give_gradients(params, seed)
        optimizer.step()
        for weight, buffer, parameter in zip(expected, buffers, params, strict=True):
            assert parameter.grad is not None
            gradient = parameter.grad.double()
            buffer.copy_(0.9 * buffer + 0.1 * gradient)
            update = newton_schulz(0.1 * gradient + 0.9 * buffer if nesterov else buffer)
            rows, columns = weight.shape
            factor = math.sqrt(max(1, rows / columns)) if scale == "original" else 0.2 * math.sqrt(max(rows, columns))
            weight.copy_(weight * (1 - 0.1 * 0.3) - 0.1 * factor * update)
    for weight, parameter in zip(expected, params, strict=True):
        torch.testing.assert_close(parameter.detach().double(), weight, rtol=0, atol=tolerance)


@pytest.mark.parametrize("scale", ["original", "match_rms_adamw"])
def test_updates_agree_with_torch_muon_up_to_its_bfloat16(scale: str) -> None:
    mine, theirs = parameters(torch.float32), parameters(torch.float32)
    keys: dict[str, Any] = {"lr": 0.1, "weight_decay": 0.1, "momentum": 0.95}
    both = [Muon(mine, shape_scale=scale, **keys), torch.optim.Muon(theirs, adjust_lr_fn=scale, **keys)]
    for seed in range(4):
        before = [p.detach().clone() for p in mine]
        for params, optimizer in zip((mine, theirs), both, strict=True):
            give_gradients(params, seed)
            optimizer.step()
        for old, a, b in zip(before, mine, theirs, strict=True):
            factor = 0.1 * shape_factor(*a.shape, scale)
            assert ((a - b).abs().max() / factor).item() < 2e-2  # of updates with entries up to 1
            assert not torch.equal(a, old)
            b.data.copy_(a.data)


@pytest.mark.parametrize("steps", [1, 3, 5, 7, 10])
@pytest.mark.parametrize("shape", [(6, 6), (6, 20)])
def test_any_number_of_steps_is_that_many(steps: int, shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64)
    torch.testing.assert_close(orthogonalise(x[None], steps)[0], newton_schulz(x, steps), rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", [(12, 12), (8, 40)])
def test_rotations_pass_through(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = torch.randn(1, *shape, dtype=torch.float64)
    left, right = (torch.linalg.qr(torch.randn(1, n, n, dtype=torch.float64))[0] for n in shape)
    torch.testing.assert_close(orthogonalise(left @ x @ right, 5), left @ orthogonalise(x, 5) @ right)


def test_singular_values_come_near_one() -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(4, 32, 128), 5))
    assert values.min() > 0.65 and values.max() < 1.15


@pytest.mark.parametrize("shape", [(16, 16), (16, 64)])
def test_thirty_steps_on_a_nearly_rank_one_gradient_stay_bounded(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.outer(torch.randn(shape[0]), torch.randn(shape[1])) + 1e-6 * torch.randn(shape)
    assert torch.linalg.svdvals(orthogonalise(matrix[None], 30)).max() < 1.3


def test_a_shape_and_its_transpose_share_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, ...]] = []
    true = muon.orthogonalise
    monkeypatch.setattr(muon, "orthogonalise", lambda x, steps: calls.append(tuple(x.shape)) or true(x, steps))
    params = [nn.Parameter(torch.zeros(shape)) for shape in [(4, 9), (9, 4), (4, 9), (4, 4)]]
    give_gradients(params, 0)
    Muon(params, 0.1).step()
    assert calls == [(3, 4, 9), (1, 4, 4)]
    calls.clear()
    monkeypatch.setitem(STACK_BYTES, "cpu", 2 * 4 * 9 * 4)
    Muon(params, 0.1).step()
    assert calls == [(2, 4, 9), (1, 4, 9), (1, 4, 4)]


def test_no_gradient_no_update_and_a_zero_gradient_only_decays() -> None:
    still, decayed = nn.Parameter(torch.ones(3, 3)), nn.Parameter(torch.ones(3, 3))
    decayed.grad = torch.zeros(3, 3)
    Muon([still, decayed], 0.1, weight_decay=0.5).step()
    assert torch.equal(still.data, torch.ones(3, 3))
    torch.testing.assert_close(decayed.data, torch.full((3, 3), 0.95))
