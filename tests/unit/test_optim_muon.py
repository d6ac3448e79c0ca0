"""Muon against its formula, against torch's own, and against its first form, bit for bit."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nanocore.limits import STACK_BYTES
from nanocore.optim import muon
from nanocore.optim.momentum import DirectMomentum, Momentum, wide_shape
from nanocore.optim.muon import Muon, shape_factor
from nanocore.optim.quantised_state import Codes

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
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 2e-5)], ids=["float64", "float32"]
)
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


def test_a_shape_and_its_transpose_share_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, ...]] = []
    true = muon.orthogonalise
    monkeypatch.setattr(muon, "orthogonalise", lambda x, *how: calls.append(tuple(x.shape)) or true(x, *how))
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


def first_form(x: Tensor, gradient: Tensor, buffer: Tensor, lr: float, decay: float, nesterov: bool) -> None:
    """One update of matrices of one shape (n, rows, columns) as Muon computed it before it had any choice."""
    buffer.lerp_(gradient, 1.0 - 0.95)
    stacked = gradient.lerp(buffer, 0.95) if nesterov else buffer
    tall = x.shape[1] > x.shape[2]
    stacked = torch.stack([matrix.mT if tall else matrix for matrix in stacked])
    block = 5 if stacked.shape[2] >= 2 * stacked.shape[1] else 1
    update = stacked / (torch.linalg.matrix_norm(stacked, keepdim=True) + 1e-7)
    for _ in range(0, 5, block):
        gram, product = update @ update.mT, None
        for _ in range(block):
            factor = torch.baddbmm(gram, gram, gram, beta=-4.7750, alpha=2.0315)
            factor.diagonal(dim1=1, dim2=2).add_(3.4445)
            product = factor if product is None else factor @ product
            gram = factor @ gram @ factor
        assert product is not None
        update = product @ update
    x.mul_(1.0 - lr * decay)
    x.add_(update.mT if tall else update, alpha=-lr * shape_factor(x.shape[1], x.shape[2], "original"))


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("shape", [(8, 8), (6, 20), (20, 6), (48, 40)])
def test_without_any_choice_every_bit_is_as_before(shape: tuple[int, int], nesterov: bool) -> None:
    torch.manual_seed(3)
    params = [nn.Parameter(torch.randn(shape)) for _ in range(3)]
    expected = torch.stack([p.detach() for p in params])
    buffer = torch.zeros_like(expected)
    optimizer = Muon(params, 0.1, nesterov=nesterov, weight_decay=0.3)
    for seed in range(4):
        give_gradients(params, seed)
        optimizer.step()
        first_form(expected, torch.stack([p.grad for p in params if p.grad is not None]), buffer, 0.1, 0.3, nesterov)
    assert torch.equal(torch.stack([p.detach() for p in params]), expected)
    assert [list(optimizer.state[p]) for p in params] == [["momentum_buffer"]] * 3


def test_cautious_decay_spares_weights_that_the_update_grows() -> None:
    runs = []
    for decay, cautious in ((0.0, False), (0.3, False), (0.3, True)):
        params = parameters()
        give_gradients(params, 1)
        Muon(params, 0.1, weight_decay=decay, cautious=cautious).step()
        runs.append(params)
    for start, plain, decayed, cautious in zip(parameters(), *runs, strict=True):
        shrinks = ((start - plain) * start >= 0.0).detach()  # W <- W - lr u: u and W have one sign
        assert 0 < shrinks.sum() < shrinks.numel()
        torch.testing.assert_close(cautious, torch.where(shrinks, decayed, plain), rtol=0, atol=1e-14)


def test_cautious_decay_goes_on_where_nothing_is_updated() -> None:
    """The rule is u * W >= 0 with the equals sign (arXiv 2510.12402)."""
    weight = nn.Parameter(torch.ones(4, 6, dtype=torch.float64))
    weight.grad = torch.zeros_like(weight)
    Muon([weight], 0.1, weight_decay=0.3, cautious=True).step()
    torch.testing.assert_close(weight.detach(), torch.full_like(weight, 0.97), rtol=0, atol=1e-14)


def codes(parameter: Tensor, index: int) -> Momentum:
    return DirectMomentum(Codes("momentum", tuple(parameter.shape), "int8", 64), wide_shape(parameter.shape))


@pytest.mark.parametrize("memory", [muon.float_momentum, codes])
@pytest.mark.parametrize("shape", [(8, 24), (24, 8)])
def test_a_stack_of_experts_is_so_many_matrices(
    shape: tuple[int, int], memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    stack = nn.Parameter(torch.randn(3, *shape, dtype=torch.float64))
    single = [nn.Parameter(matrix.clone()) for matrix in stack.detach()]
    both = [Muon(params, 0.1, weight_decay=0.2, memory=memory) for params in ([stack], single)]
    monkeypatch.setitem(muon.STACK_BYTES, "cpu", 2 * 8 * 24 * 8)  # two at a time
    for seed in range(3):
        give_gradients([stack], seed)
        assert stack.grad is not None
        for parameter, gradient in zip(single, stack.grad, strict=True):
            parameter.grad = gradient.clone()
        for optimizer in both:
            optimizer.step()
    torch.testing.assert_close(stack.detach(), torch.stack([p.detach() for p in single]), rtol=0, atol=1e-12)


def test_polar_express_is_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    methods: list[str] = []
    true = muon.orthogonalise
    monkeypatch.setattr(muon, "orthogonalise", lambda x, steps, how: methods.append(how) or true(x, steps, how))
    ends = []
    for method in ("newton-schulz", "polar-express"):
        params = parameters()
        give_gradients(params, 0)
        methods.clear()
        Muon(params, 0.1, orthogonalisation=method).step()
        ends.append(params[0].detach())
        assert set(methods) == {method}
    assert not torch.equal(*ends)
