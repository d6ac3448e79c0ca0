"""LoopLM: exit distribution, expected loss, gate stage, and adaptive exit with a cache that tells no lies."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nanocore.model.hyper_connections import collapse
from nanocore.model.loop import Leaving
from nanocore.model.transformer import Transformer
from nanocore.objective.exits import exit_entropy, exit_log_probabilities, gate_loss
from nanocore.objective.goal import Goal
from tests.quick import quick
from tests.unit.test_objective_token_filter import batch, config, gradients, micro, model


def looped(dtype: torch.dtype = torch.float64, *, model_keys: dict[str, Any] | None = None, **loop: Any) -> Transformer:
    made = model(config(loop={"count": 3, **loop}, **(model_keys or {})), dtype)
    assert made.exit_gate is not None
    with torch.no_grad():
        generator = torch.Generator().manual_seed(7)
        made.exit_gate.weight.copy_(torch.randn(made.exit_gate.weight.shape, generator=generator) * 2.0)
        made.exit_gate.bias.sub_(made.exits(micro(batch()).tokens).gates[0].mean())  # about even odds, token by token
    return made


def test_exit_probabilities_add_up_and_the_last_gate_is_not_read() -> None:
    gates = torch.randn(4, 50, dtype=torch.float64)
    q = exit_log_probabilities(gates).exp()
    torch.testing.assert_close(q.sum(0), torch.ones(50, dtype=torch.float64), rtol=1e-12, atol=0)
    other = gates.clone()
    other[-1] = 99.0
    assert torch.equal(q, exit_log_probabilities(other).exp())
    leave = gates.sigmoid()
    torch.testing.assert_close(q[1], leave[1] * (1 - leave[0]), rtol=1e-12, atol=1e-15)


def test_entropy_is_largest_for_the_uniform_distribution() -> None:
    uniform = torch.logit(torch.tensor([1 / 4, 1 / 3, 1 / 2, 0.0], dtype=torch.float64))[:, None]
    log_q = exit_log_probabilities(uniform)
    torch.testing.assert_close(log_q.exp().squeeze(), torch.full((4,), 0.25, dtype=torch.float64))
    assert exit_entropy(log_q) >= exit_entropy(exit_log_probabilities(torch.randn(4, 100, dtype=torch.float64))).max()
    assert torch.isfinite(exit_entropy(exit_log_probabilities(torch.tensor([[300.0], [-300.0], [0.0]]))))


def test_the_loss_is_expected_cross_entropy_less_the_entropy() -> None:
    made, of = looped(entropy_weight=0.1), batch()
    part, targets = micro(of), micro(of).targets.flatten()
    exits = made.exits(part.tokens, positions=part.positions, documents=part.documents)
    mine = Goal(made, made.config, of).terms(exits, part)
    found = gradients(made, mine.loss)
    exits = made.exits(part.tokens, positions=part.positions, documents=part.documents)
    valid = targets >= 0
    losses = torch.stack(
        [
            F.cross_entropy(made.logits(h).flatten(0, 1), targets, ignore_index=-1, reduction="none")
            for h in exits.hidden
        ]
    )
    q = exit_log_probabilities(exits.gates.flatten(1)).exp()
    entropy = -(q * q.log()).sum(0)
    expected = ((q * losses).sum(0) - 0.1 * entropy)[valid].sum() / valid.sum()
    torch.testing.assert_close(mine.loss.detach(), expected.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(mine.sums[0], losses[-1].sum().detach(), rtol=1e-12, atol=0)
    theirs = gradients(made, expected)
    assert found.keys() == theirs.keys() and "exit_gate.weight" in found
    for name, value in theirs.items():
        torch.testing.assert_close(found[name], value, rtol=1e-9, atol=1e-13, msg=lambda m, n=name: f"{n}: {m}")


def test_one_turn_is_the_plain_decoder_to_the_bit() -> None:
    plain, once = model(config(), torch.float32), model(config(loop={"count": 1}), torch.float32)
    part = micro(batch())
    assert plain.state_dict().keys() == once.state_dict().keys()
    assert torch.equal(plain(part.tokens), once(part.tokens))


def test_turns_share_their_weights_and_change_the_result() -> None:
    made, part = looped(before=1, after=1), micro(batch())
    exits = made.exits(part.tokens, positions=part.positions, documents=part.documents)
    assert exits.hidden.shape == (3, *part.tokens.shape, 16) and exits.gates.shape == (3, *part.tokens.shape)
    assert not torch.allclose(exits.hidden[0], exits.hidden[2])
    last = made(part.tokens, positions=part.positions, documents=part.documents)
    assert torch.equal(last, exits.hidden[-1])  # what is evaluated is the last turn
    assert sum(p.numel() for p in made.blocks.parameters()) == sum(
        p.numel() for p in model(config()).blocks.parameters()
    )


def test_the_gate_learns_to_go_on_where_it_helps_and_nothing_else_moves() -> None:
    made, of = looped(stage="gate"), batch()
    assert made.exit_gate is not None
    trained = {name for name, p in made.named_parameters() if p.requires_grad}
    assert trained == {f"exit_gate.{part}" for part in ("weight", "bias", "norm.weight")}
    part = micro(of)
    exits = made.exits(part.tokens, positions=part.positions, documents=part.documents)
    assert gradients(made, Goal(made, made.config, of).terms(exits, part).loss).keys() == trained
    gates = torch.zeros(2, 2, dtype=torch.float64, requires_grad=True)
    losses = torch.tensor([[2.0, 2.0], [1.0, 2.0]], dtype=torch.float64)  # another turn helps the first token only
    gate_loss(gates, losses).sum().backward()
    assert gates.grad is not None and gates.grad[0, 0] > 0 > gates.grad[0, 1]  # less, and more, leaving


@pytest.mark.parametrize("gain", [-1.0, 0.0, 0.005, 0.03])
def test_the_label_to_go_on_is_a_soft_threshold_on_the_gain_of_another_turn(gain: float) -> None:
    gates = torch.zeros(2, 1, dtype=torch.float64, requires_grad=True)
    gate_loss(gates, torch.tensor([[2.0], [2.0 - gain]], dtype=torch.float64)).sum().backward()
    assert gates.grad is not None
    label = 0.5 + float(gates.grad[0, 0])  # at even odds the gradient by the gate is the label less a half
    assert label == pytest.approx(1 / (1 + math.exp(-50 * (max(0.0, gain) - 0.005))))


MODELS = [{}, {"mhc": {"streams": 2}}, {"model": {"linear": "float", "d_model": 16, "n_kv_heads": 4}}]


@pytest.mark.parametrize("keys", quick(MODELS, MODELS[1]))
@pytest.mark.parametrize("loop", [{}, {"before": 1, "after": 1}])
def test_the_cache_gives_the_full_forward(keys: dict[str, Any], loop: dict[str, int]) -> None:
    made = looped(model_keys=keys, **loop)
    tokens = micro(batch()).tokens[:1]
    full = made(tokens)
    cache = made.new_cache(1, tokens.shape[1])
    pieces = [made(tokens[:, :5], cache=cache)]
    pieces += [made(tokens[:, i : i + 1], cache=cache) for i in range(5, tokens.shape[1])]
    torch.testing.assert_close(torch.cat(pieces, 1), full, rtol=1e-9, atol=1e-9)


def leaving_by_hand(made: Transformer, tokens: Tensor, threshold: float) -> tuple[Tensor, list[int]]:
    """Token by token, each from the whole text before it: streams stop at the exit, later turns see its last K and V."""
    assert made.exit_gate is not None
    cache, hidden, turns = made.new_cache(1, tokens.shape[1]), [], []
    loop = made.config.loop
    for place in range(tokens.shape[1]):
        context = made.context(tokens[:, place : place + 1], None, None, cache)
        streams = made._before(tokens[:, place : place + 1], context)
        stay = 1.0
        for turn in range(loop.count):
            cache.enter(turn)
            streams = made._turn(streams, context, None)
            stay *= 1.0 - made.exit_gate(collapse(streams)).sigmoid().item()
            if 1.0 - stay >= threshold:
                break
        cache.repeat(turn, loop.count, range(loop.before, len(made.blocks) - loop.after), 1)
        hidden.append(made._after(streams, context))
        cache.advance(1)
        turns.append(turn + 1)
    return torch.cat(hidden, 1), turns


AROUND = [{}, {"before": 1, "after": 1}]
EVERY = [(keys, loop, after) for keys in MODELS for loop in AROUND for after in (1, 2)]
QUICK = [(MODELS[0], AROUND[0], 1), (MODELS[1], AROUND[1], 2), (MODELS[2], AROUND[1], 1)]
EXITS = [each if each in QUICK else pytest.param(*each, marks=pytest.mark.slow) for each in EVERY]


@pytest.mark.parametrize(("keys", "loop", "half_leave_after"), EXITS)
def test_adaptive_exit_is_the_same_whole_in_pieces_and_by_hand(
    keys: dict[str, Any], loop: dict[str, int], half_leave_after: int
) -> None:
    tokens = micro(batch()).tokens[:1]
    gates = looped(model_keys=keys, **loop).exits(tokens).gates[:half_leave_after]
    left = (1.0 - torch.sigmoid(-gates).prod(0)).flatten().sort().values.detach()
    threshold = float(left[7:9].mean())  # between the two tokens in the middle
    made = looped(model_keys=keys, exit_threshold=threshold, **loop)
    expected, turns = leaving_by_hand(made, tokens, threshold)
    assert len(set(turns)) > 1  # tokens really leave at different turns
    whole = made(tokens, cache=made.new_cache(1, tokens.shape[1]))
    torch.testing.assert_close(whole, expected, rtol=1e-9, atol=1e-9)
    cache = made.new_cache(1, tokens.shape[1])
    pieces = [made(piece, cache=cache) for piece in tokens.split([7, 1, 1, 4, 3], dim=1)]
    torch.testing.assert_close(torch.cat(pieces, 1), expected, rtol=1e-9, atol=1e-9)


def test_a_threshold_of_one_runs_every_turn_and_zero_only_the_first() -> None:
    tokens = micro(batch()).tokens[:1]
    made, first = looped(), looped(exit_threshold=0.0)
    exits = made.exits(tokens)
    torch.testing.assert_close(made(tokens, cache=made.new_cache(1, 16)), exits.hidden[2], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(first(tokens, cache=first.new_cache(1, 16)), exits.hidden[0], rtol=1e-9, atol=1e-12)


def test_a_token_leaves_when_its_threshold_is_reached_exactly() -> None:
    even = torch.zeros(1, 1)  # leaves with probability 1/2 at each turn
    assert Leaving(0.5).decide(even)
    leaving = Leaving(0.75)
    assert [leaving.decide(even), leaving.decide(even)] == [False, True]


def test_every_parameter_gets_gradient() -> None:
    made, of = looped(model_keys={"mhc": {"streams": 2}}), batch()
    part = micro(of)
    loss = Goal(made, made.config, of).terms(made.exits(part.tokens, positions=part.positions), part).loss
    assert all(value.abs().max() > 0 for value in gradients(made, loss).values())
