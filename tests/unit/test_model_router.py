"""Which experts tokens go to: balancing by a bias or a loss, and what is counted."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from nanocore.model.router import Router, apply_balance, load_report, routers, take_balance_loss, take_loads
from nanocore.objective.goal import Goal
from nanocore.train.distributed import World
from nanocore.train.hardware import Machine
from nanocore.train.step import StepResult, always, never, take_step
from tests.experts import inputs, layer, make_model, moe_config
from tests.models import relative_error
from tests.unit.test_objective_token_filter import batch


def skewed_violation(balance: str, updates: int) -> float:
    """MaxVio after some updates on one batch, for a router that prefers some experts by far."""
    rate = {"bias_rate": 0.002} if balance == "bias" else {}
    model = nn.ModuleList([Router(moe_config(experts=8, balance=balance, **rate).moe, 16)])
    router = cast(Router, model[0])
    router.reset_parameters(torch.Generator().manual_seed(0), gain=1.0)
    with torch.no_grad():
        router.weight[:, 0] = torch.linspace(-1, 1, 8)
    x, report = inputs(8, 256, 16), None
    x[..., 0] = 1.0
    for _ in range(updates):
        model[0](x)
        loads = take_loads(model)
        report = load_report(model, loads)
        apply_balance(model, loads)
    assert report is not None and sum(report.layers[0]["fractions"]) == pytest.approx(1.0)
    return report.summary["moe/max_violation"]


def test_the_bias_evens_out_a_skewed_router() -> None:
    assert skewed_violation("bias", updates=300) < 0.1
    assert skewed_violation("none", updates=2) > 0.5


def test_the_bias_moves_by_its_rate_against_the_load_and_has_no_gradient() -> None:
    experts = layer(bias_rate=0.5)
    assert "router.bias" not in dict(experts.named_parameters()) and not experts.router.bias.requires_grad
    apply_balance(experts, torch.tensor([[30, 10, 20, 0, 40]]))
    assert experts.router.bias.tolist() == [-0.5, 0.5, 0.0, 0.5, -0.5]
    x = inputs(1, 6, 32)
    scores = torch.sigmoid(F.linear(x, experts.router.weight))
    routing = experts.router(x)  # the bias chooses, the score weighs
    assert torch.equal(routing.experts, (scores + experts.router.bias).topk(2).indices)
    chosen = scores.gather(-1, routing.experts)
    assert torch.allclose(routing.weights, chosen / chosen.sum(-1, keepdim=True))


@pytest.mark.parametrize(
    ("norm", "admit", "made"),
    [(1.0, always, True), (1.0, never, False), (math.nan, always, False)],
    ids=["made", "refused", "not finite"],
)
def test_the_bias_moves_only_with_an_update_that_is_made(
    norm: float, admit: Callable[[StepResult], bool], made: bool
) -> None:
    model, of, device = make_model(bias_rate=0.5), batch(), torch.device("cpu")
    idle: Any = SimpleNamespace(zero_grad=model.zero_grad, clip=lambda _: norm, step=lambda *_: None)
    result = take_step(
        model, Goal(model, model.config, of), idle, of, machine=Machine(device, torch.float32, 1, "test", None),
        world=World(0, 1, device), accumulation=1, grad_clip=1.0, lr_factor=1.0, weight_decay_factor=1.0, admit=admit,
    )  # fmt: skip
    assert result.applied == made
    assert [bool(router.bias.any()) for router in routers(model).values()] == [made, made]


def test_loads_count_what_learns_and_only_once() -> None:
    experts, x = layer(balance="loss"), inputs(2, 8, 32).requires_grad_()
    with torch.no_grad():
        experts(x)
    assert not take_loads(experts).any()
    y = cast(Tensor, checkpoint(experts, x, use_reentrant=False))
    loss, loads = take_balance_loss(experts), take_loads(experts)
    assert loss is not None and int(loads.sum()) == 2 * 8 * 2
    (y.sum() + loss).backward()  # runs the forward again
    assert not take_loads(experts).any() and take_balance_loss(experts) is None
    again = layer(balance="loss")
    y, expected = again(x), take_balance_loss(again)
    assert expected is not None
    (y.sum() + expected).backward()
    assert experts.router.weight.grad is not None and again.router.weight.grad is not None
    assert torch.equal(experts.router.weight.grad, again.router.weight.grad)


def test_the_auxiliary_loss_follows_its_formula() -> None:
    """Of each sequence, E / (k T) sum_i count_i mean_t(share_ti), times T; one for each token when even."""
    experts, x = layer(balance="loss").double(), inputs(3, 8, 32).double()
    experts.router.bias.copy_(inputs(5, seed=9) * 0.2)
    experts(x)
    found = take_balance_loss(experts)
    expected = torch.zeros((), dtype=torch.float64)
    for row in x:
        scores = torch.sigmoid(row @ experts.router.weight.T)
        counts = torch.zeros(5)
        for token in scores:
            for i in (token + experts.router.bias).topk(2).indices:
                counts[i] += 1
        shares = (scores / scores.sum(1, keepdim=True)).mean(0)
        expected = expected + 8 * 5 / (2 * 8) * (counts * shares).sum()
    assert found is not None and torch.allclose(found, expected)
    both = [torch.autograd.grad(loss, experts.router.weight)[0] for loss in (found, expected)]
    assert both[0].any() and torch.allclose(both[0], both[1])
    with torch.no_grad():
        experts.router.weight.zero_()  # equal shares: one for each token, whoever is chosen
    experts(x)
    even = take_balance_loss(experts)
    assert even is not None and float(even.detach()) == pytest.approx(3 * 8)


def test_micro_batches_add_up_to_the_whole_batch() -> None:
    found = []
    for parts in (1, 2, 4):
        experts = layer(balance="loss").double()
        for part in inputs(4, 8, 32).double().split(4 // parts):
            y = experts(part)
            loss = take_balance_loss(experts)
            assert loss is not None
            (y.square().sum() + loss).backward()
        found.append((take_loads(experts), [p.grad for p in experts.parameters()]))
    for loads, gradients in found[1:]:
        assert torch.equal(loads, found[0][0])
        for one, other in zip(gradients, found[0][1], strict=True):
            assert one is not None and other is not None and relative_error(one, other) < 1e-12


def test_load_report_names_even_and_uneven_loads() -> None:
    model = make_model(experts=4)
    report = load_report(model, torch.tensor([[10, 10, 10, 10], [40, 0, 0, 0]]))
    even, uneven = report.layers
    assert even["max_violation"] == 0 and even["entropy"] == pytest.approx(1.3863, abs=1e-4)
    assert uneven["max_violation"] == 3 and uneven["entropy"] == 0
    assert report.summary["moe/max_violation"] == 3 and uneven["name"] == "blocks.1.feed_forward.router"
