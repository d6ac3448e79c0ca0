"""Mixture of experts: routing, balancing, and that sorting tokens by expert changes nothing."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nanocore.analysis.ternary import TernaryProbe
from nanocore.config.schema import Config
from nanocore.model import experts as experts_module
from nanocore.model import filled_rows
from nanocore.model.bitlinear import frozen
from nanocore.model.experts import Experts
from nanocore.model.feed_forward import FeedForward, transform
from nanocore.model.quantise import ternary_weight
from nanocore.model.router import apply_balance, routers, take_loads
from nanocore.model.transformer import Transformer
from nanokernels.plain import token_codes
from tests.experts import inputs, layer, make_model, moe_config
from tests.kept import kept_for_backward
from tests.models import VOCABULARY, descend, model_config, next_token_loss, random_tokens, relative_error
from tests.quick import quick

VARIANTS: list[dict[str, Any]] = [
    {},
    {"linear": "float", "active": 1},
    {"activation": "relu2", "group_size": 8, "shared": 2},
    {"sub_norm": True, "d_expert": 16, "active": 3, "shared": 1},
]


def straight_through(value: Tensor, quantised: Tensor) -> Tensor:
    return value + (quantised - value).detach()


def product(x: Tensor, weight: Tensor, config: Config) -> Tensor:
    """One token (C,) times a matrix, as BitNet writes it down."""
    if config.model.linear == "float":
        return weight @ x
    codes, scale = token_codes(x.detach()[None])
    x = straight_through(x, (codes.to(x.dtype) * scale)[0])
    ternary = ternary_weight(weight.detach(), config.model.group_size).dequantise()
    return straight_through(weight, ternary.to(x.dtype)) @ x


def network(x: Tensor, gate: Tensor | None, up: Tensor, down: Tensor, norm: nn.Module, config: Config) -> Tensor:
    wide = product(x, up, config)
    hidden = F.relu(wide).square() if gate is None else F.silu(product(x, gate, config)) * wide
    return product(norm(hidden[None])[0], down, config)


def naive(experts: Experts, x: Tensor, config: Config) -> Tensor:
    """Token by token, expert by expert."""
    rows = []
    for token in x.flatten(0, 1):
        scores = torch.sigmoid(experts.router.weight @ token)
        chosen = sorted(range(len(scores)), key=lambda i: -float(scores[i].detach() + experts.router.bias[i]))
        chosen = chosen[: config.moe.active]
        total = sum(scores[i] for i in chosen) if config.moe.active > 1 else 1.0
        row = torch.zeros_like(token)
        for i in chosen:
            gate = experts.gate.weight[i] if experts.gate is not None else None
            out = network(token, gate, experts.up.weight[i], experts.down.weight[i], experts.sub_norm, config)
            row = row + scores[i] / total * out
        if (shared := experts.shared) is not None:
            gate = shared.gate.weight if shared.gate is not None else None
            row = row + network(token, gate, shared.up.weight, shared.down.weight, shared.sub_norm, config)
        rows.append(row)
    return torch.stack(rows).view_as(x)


@pytest.mark.parametrize("keys", VARIANTS)
def test_values_and_gradients_are_those_of_a_loop_over_tokens(keys: dict[str, Any]) -> None:
    experts, x = layer(**keys).double(), inputs(2, 7, 32).double().requires_grad_()
    experts.router.bias.copy_(inputs(5, seed=9) * 0.1)
    parameters, d_y = [x, *experts.parameters()], inputs(2, 7, 32, seed=2).double()
    found, expected = experts(x), naive(experts, x, moe_config(**keys))
    assert relative_error(found, expected) < 1e-12
    names = ["x", *(name for name, _ in experts.named_parameters())]
    gradients = [torch.autograd.grad(y, parameters, d_y) for y in (found, expected)]
    for name, one, other in zip(names, *gradients, strict=True):
        assert other.any() and relative_error(one, other) < 1e-10, name


@pytest.mark.parametrize("keys", [{}, {"linear": "float", "sub_norm": True}, {"activation": "relu2"}])
def test_one_expert_is_the_dense_layer(keys: dict[str, Any]) -> None:
    experts, dense = layer(experts=1, active=1, **keys), FeedForward(model_config(**keys))
    stacked = experts.state_dict()
    dense.load_state_dict({name: stacked[name].view_as(value) for name, value in dense.state_dict().items()})
    x = inputs(2, 7, 32).requires_grad_()
    found, expected = experts(x), dense(x)
    assert torch.equal(found, expected)
    d_found, d_expected = (torch.autograd.grad(y.square().sum(), x)[0] for y in (found, expected))
    assert relative_error(d_found, d_expected) < 1e-6


def test_experts_stand_in_every_nth_block_counted_from_the_last() -> None:
    model = Transformer(moe_config(n_layers=6, every=4), VOCABULARY)
    assert [isinstance(block.feed_forward, Experts) for block in model.blocks] == [
        False,
        True,
        False,
        False,
        False,
        True,
    ]
    roles = model.roles()
    assert roles["blocks.1.feed_forward.router.weight"] == "mixing"
    assert roles["blocks.1.feed_forward.gate.weight"] == roles["blocks.0.feed_forward.gate.weight"] == "matrix"


def test_all_tokens_may_go_to_the_same_experts_and_none_is_dropped() -> None:
    experts, x = layer(), inputs(3, 11, 32)
    experts.router.bias[3] = experts.router.bias[1] = 10.0
    routing = experts.router(x)
    assert routing.counts.tolist() == [0, 33, 0, 33, 0]
    assert torch.allclose(routing.weights.sum(-1), torch.ones(3, 11))
    d_y = inputs(3, 11, 32, seed=2)
    experts(x).backward(d_y)
    assert relative_error(experts(x), naive(experts, x, moe_config())) < 1e-5
    assert experts.down.weight.grad is not None
    assert experts.down.weight.grad.flatten(1).any(1).tolist() == [False, True, False, True, False]
    assert experts.router.weight.grad is not None and experts.router.weight.grad[1].any()


def test_the_same_input_gives_the_same_bits() -> None:
    found = []
    for _ in range(2):
        experts, x = layer(shared=1), inputs(4, 16, 32).requires_grad_()
        y = experts(x)
        found.append((y, *torch.autograd.grad(y.square().sum(), [x, *experts.parameters()])))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_a_token_does_not_see_later_ones() -> None:
    model, tokens = make_model(shared=1).double(), random_tokens(2, 20)
    changed = tokens.clone()
    changed[:, 12:] = (tokens[:, 12:] + 1) % VOCABULARY
    with torch.no_grad():
        assert torch.equal(model(tokens)[:, :12], model(changed)[:, :12])


def test_generating_with_a_cache_and_frozen_codes_gives_the_logits_of_the_full_forward() -> None:
    model, tokens = make_model(shared=1, group_size=16).double(), random_tokens(2, 12)
    cache = model.new_cache(2, 12)
    with torch.no_grad(), frozen(model):
        steps = torch.cat([model(token, cache=cache) for token in tokens.split(1, dim=1)], dim=1)
        with torch.no_grad():
            for router in routers(model).values():
                assert not router.loads.any()
        assert relative_error(steps, model(tokens)) < 1e-9


def test_frozen_codes_are_kept_for_every_expert() -> None:
    experts, x = layer(), inputs(2, 6, 32)
    with torch.no_grad():
        before = experts(x)
        with frozen(experts):
            experts.down.weight.neg_()
            assert torch.equal(experts(x), before)
        assert torch.equal(experts(x), -before)


def test_the_state_round_trips_with_the_bias_and_without_the_loads() -> None:
    model = make_model()
    next_token_loss(model, random_tokens(2, 20)).backward()
    apply_balance(model, take_loads(model))
    state = model.state_dict()
    name = "blocks.1.feed_forward.router.bias"
    assert state[name].any() and not any(key.endswith("loads") for key in state)
    with torch.device("meta"):
        other = Transformer(model.config, VOCABULARY)
    other.load_state_dict(state, assign=True)
    with torch.no_grad():
        assert torch.equal(other(random_tokens(2, 20)), model(random_tokens(2, 20)))


def test_initialise_fills_every_part_of_the_layer() -> None:
    model = Transformer(moe_config(shared=1, sub_norm=True), VOCABULARY)
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point() and tensor.dim() < 4 and tensor.shape[0] in (5, VOCABULARY):
            nn.init.constant_(tensor, torch.nan)
    model.initialise(3)
    experts = cast(Experts, model.blocks[0].feed_forward)
    assert not experts.router.bias.any()
    for stack in (experts.router, experts.gate, experts.up):
        assert stack is not None and float(stack.weight.detach().std()) == pytest.approx(0.5 / 32**0.5, rel=0.2)
    assert float(experts.down.weight.detach().std()) == pytest.approx(0.5 / (4 * 48) ** 0.5, rel=0.2)
    again = make_model(3, shared=1, sub_norm=True).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("keys", quick(VARIANTS, VARIANTS[-1]))
def test_a_model_with_experts_learns(keys: dict[str, Any]) -> None:
    model, tokens = make_model(**keys), random_tokens(4, 16)
    losses = []
    for _ in range(12):
        model.zero_grad()
        loss = next_token_loss(model, tokens)
        loss.backward()
        descend(model, 2e-3)
        apply_balance(model, take_loads(model))
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.5
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_ternary_telemetry_sees_the_experts() -> None:
    model = make_model()
    assert "blocks.0.feed_forward.down.weight" in TernaryProbe(model).names
    assert 0 < TernaryProbe(model).measure().summary["ternary/zero_fraction"] < 1


def test_what_is_kept_for_backward_is_what_the_estimate_counts() -> None:
    experts, x = layer(), inputs(4, 50, 32).requires_grad_()
    with kept_for_backward(experts) as kept:
        y = experts(x)
    n, m, width, inner, count = 200, 400, 32, 48, 5
    router = 4 * n * width + 4 * n * count + 8 * m + 4 * (m + n)  # input, scores, choice, scores and their sum
    rows = 2 * 8 * m + m * (width + 4) + 3 * 4 * m * inner + m * (inner + 4)  # places, codes, gate, silu, up, codes
    weights = 3 * count * (width * inner + 4)
    assert kept.bytes == router + rows + weights + 4 * m * width + 4 * m  # outputs and their weights
    assert y.requires_grad


def test_rows_are_filled_up_in_bfloat16_on_a_cpu_and_nothing_else_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def noted(rows: Tensor, *rest: Any) -> Tensor:
        seen.append(len(rows))
        return transform(rows, *rest)

    def run(multiple: int) -> tuple[Tensor, ...]:
        monkeypatch.setattr(filled_rows, "ROWS", multiple)
        experts, x = layer(), inputs(4, 50, 32).requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = experts(x)
        y.float().square().sum().backward()
        return (y, x.grad, *(p.grad for p in experts.parameters()))  # type: ignore[return-value]

    monkeypatch.setattr(experts_module, "transform", noted)
    filled, plain = run(32), run(1)
    assert all(count % 32 == 0 for count in seen[:5]) and any(count % 32 for count in seen[5:])
    for found, expected in zip(filled, plain, strict=True):
        torch.testing.assert_close(found, expected, rtol=2e-2, atol=1e-3)
