"""DeltaNet layers inside the decoder: placement, documents, causality, cache, initial values, learning."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from nanocore.config.schema import Config
from nanocore.model.attention import Attention, Context
from nanocore.model.convolution import ShortConvolution
from nanocore.model.delta_net import DeltaNet, _unit
from nanocore.model.delta_rule import recurrent
from nanocore.model.rotary import Rotation
from nanocore.model.transformer import Transformer
from tests.models import descend, make_model, model_config, next_token_loss, random_tokens, relative_error
from tests.quick import checkered

VARIANTS = [
    {"pattern": "DDA"},
    {"pattern": "D", "gated": False, "conv": 0},
    {"pattern": "DA", "n_heads": 2, "head_dim": 12, "conv": 3, "linear": "float"},
    {"pattern": "D", "conv": 1, "streams": 2},
]


def delta_config(*, streams: int = 1, pattern: str = "DDA", linear: str = "ternary", **delta: Any) -> Config:
    table = model_config(streams=streams, n_layers=3, linear=linear).model_dump()
    keys = {"chunk": 8, **delta} if pattern else {}
    return Config.model_validate({**table, "delta": {"pattern": pattern, **keys}})


def delta_model(seed: int = 0, **keys: Any) -> Transformer:
    model = Transformer(delta_config(**keys), 61)
    model.initialise(seed)
    return model


def one_document(cache: Any = None, documents: torch.Tensor | None = None) -> Context:
    return Context(Rotation(torch.empty(0), torch.empty(0)), None, cache, documents)  # DeltaNet has no positions


@pytest.mark.parametrize(("pattern", "kinds"), [("", "AAA"), ("DDA", "DDA"), ("DA", "DAD"), ("ADDD", "ADD")])
def test_the_pattern_repeats_over_the_layers(pattern: str, kinds: str) -> None:
    blocks = Transformer(delta_config(pattern=pattern), 61).blocks
    assert [type(block.attention) for block in blocks] == [DeltaNet if kind == "D" else Attention for kind in kinds]


def test_without_a_pattern_and_in_its_attention_layers_a_model_is_the_plain_one_to_the_bit() -> None:
    plain, without, mixed = make_model(n_layers=3), delta_model(pattern=""), delta_model(pattern="DDA")
    tokens = random_tokens(2, 24)
    assert without.state_dict().keys() == plain.state_dict().keys()
    assert torch.equal(without(tokens), plain(tokens))
    mixed.blocks[2].load_state_dict(plain.blocks[2].state_dict())
    streams, context = torch.randn(2, 24, 1, 32), plain.context(tokens, None, None)
    assert torch.equal(mixed.blocks[2](streams, context), plain.blocks[2](streams, context))


@pytest.mark.parametrize("gated", [True, False])
def test_the_layer_is_the_published_formula(gated: bool) -> None:
    config = delta_config(pattern="D", gated=gated, linear="float")
    layer = delta_model(pattern="D", gated=gated, linear="float").double().blocks[0].attention
    torch.nn.init.normal_(layer.head_norm.weight)
    x = torch.randn(2, 11, 32, dtype=torch.float64)
    heads, width = config.model.n_heads, config.head_dim

    mixed = torch.cat([linear(x) for linear in (layer.query, layer.key, layer.value)], -1).mT
    mixed = F.conv1d(F.pad(mixed, (3, 0)), layer.convolution.weight.unsqueeze(1), groups=mixed.shape[1])
    q, k, v = (part.unflatten(-1, (heads, width)) for part in F.silu(mixed).mT.chunk(3, -1))
    beta, log_decay = (x @ layer.strength.weight.T).sigmoid(), None
    if gated:
        rate, step = layer.decay.log_rate.exp(), F.softplus(x @ layer.decay.weight.T + layer.decay.bias)
        log_decay = -rate * step
    q, k = (part / (part.square().sum(-1, keepdim=True) + 1e-6).sqrt() for part in (q, k))
    out = F.rms_norm(recurrent(q, k, v, beta, log_decay)[0], (width,), layer.head_norm.weight, config.model.norm_eps)
    out = out.flatten(2) * F.silu(layer.gate(x)) if gated else out.flatten(2)
    assert relative_error(layer(x, one_document()), layer.output(out)) < 1e-10


@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize("documents", [None, [[0, 0, 0, 1, 1, 2, 3, 3], [0] * 8]])
def test_the_convolution_sums_the_last_tokens_of_the_document(width: int, documents: list[list[int]] | None) -> None:
    convolution = ShortConvolution(5, width).double()
    torch.nn.init.normal_(convolution.weight)
    numbers = torch.tensor(documents) if documents else None
    x = torch.randn(2, 8, 5, dtype=torch.float64, requires_grad=True)
    rows = []
    for row in range(2):
        starts = [t for t in range(8) if t == 0 or (documents and documents[row][t] != documents[row][t - 1])]
        parts = [F.pad(x[row, a:b].T, (width - 1, 0)) for a, b in pairwise([*starts, 8])]
        weight = convolution.weight.unsqueeze(1)
        rows.append(torch.cat([F.conv1d(part, weight, groups=5).T for part in parts]))
    expected, found = torch.stack(rows), convolution(x, numbers)
    d_y, leaves = torch.randn_like(expected), (x, convolution.weight)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    for one, other in zip(*(torch.autograd.grad(y, leaves, d_y) for y in (found, expected)), strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("keys", VARIANTS)
def test_documents_in_one_row_get_the_logits_they_get_alone(keys: dict[str, Any]) -> None:
    model, tokens = delta_model(**keys).double(), random_tokens(2, 24)
    borders = [(0, 5, 6, 17, 24), (0, 16, 24)]
    starts = torch.stack([torch.bincount(torch.tensor(row), minlength=25)[:24] for row in borders])
    documents, places = starts.cumsum(1) - 1, torch.arange(24).expand(2, 24)
    positions = places - (places * starts).cummax(1).values
    packed = model.logits(model(tokens, positions=positions, documents=documents))
    for row, edges in enumerate(borders):
        for start, end in pairwise(edges):
            alone = model.logits(model(tokens[row : row + 1, start:end]))
            assert relative_error(packed[row : row + 1, start:end], alone) < 1e-9


@pytest.mark.parametrize("keys", VARIANTS)
def test_a_changed_token_leaves_all_earlier_logits_as_they_are(keys: dict[str, Any]) -> None:
    model, tokens = delta_model(**keys).double(), random_tokens(2, 24)
    changed = tokens.clone()
    changed[:, 13] = (changed[:, 13] + 1) % 61
    before, after = model.logits(model(tokens)), model.logits(model(changed))
    assert relative_error(before[:, :13], after[:, :13]) < 1e-12
    for later in (13, 14, 20):  # the memory carries it past the convolution's reach and the chunk
        assert relative_error(before[:, later], after[:, later]) > 1e-6


@pytest.mark.parametrize(("keys", "steps"), checkered(VARIANTS, [[2, 9, 1, 1], [1] * 13]))
def test_generating_with_a_cache_gives_the_logits_of_the_full_forward(keys: dict[str, Any], steps: list[int]) -> None:
    """Token by token from the first, and in pieces shorter than the convolution and longer than a chunk."""
    model, tokens = delta_model(**keys).double(), random_tokens(2, 13)
    with torch.no_grad():
        full, cache = model.logits(model(tokens)), model.new_cache(batch=2, length=13)
        parts = [model.logits(model(part, cache=cache)) for part in tokens.split(steps, dim=1)]
    cached = torch.cat(parts, dim=1)
    assert relative_error(cached, full) <= 1e-9
    assert torch.equal(cached.argmax(-1), full.argmax(-1))


def test_cached_float32_logits_are_as_close_as_float32_is() -> None:
    model, tokens = delta_model(linear="float"), random_tokens(2, 20)
    exact = delta_model(linear="float").double()
    with torch.no_grad():
        cache = model.new_cache(2, 20)
        cached = torch.cat([model.logits(model(tokens[:, i : i + 1], cache=cache)) for i in range(20)], dim=1)
        full, true = model.logits(model(tokens)), exact.logits(exact(tokens))
    assert relative_error(cached, true) <= max(2 * relative_error(full, true), 1e-6)


def test_a_recurrent_cache_goes_back_to_its_beginning_only() -> None:
    model, tokens = delta_model(), random_tokens(1, 10)
    cache = model.new_cache(1, 24)
    with torch.no_grad():
        first = model(tokens, cache=cache)
        cache.truncate(10)
        with pytest.raises(ValueError, match="cannot go back"):
            cache.truncate(6)
        assert cache.length == 10
        cache.truncate(0)
        assert torch.equal(model(tokens, cache=cache), first)
        with pytest.raises(ValueError, match="1 x 25 tokens do not fit a cache of 1 x 24"):
            cache.keep(0, 15, cache.recurrence(0) or pytest.fail("no state was kept"))


def test_a_forward_that_broke_off_leaves_the_cache_as_it_was() -> None:
    """Only `advance`, after all layers, makes the tokens count."""
    layer, x = delta_model().blocks[0].attention, torch.randn(1, 6, 32)
    cache = delta_model().new_cache(1, 24)
    with torch.no_grad():
        layer(x[:, :4], one_document(cache))
        cache.advance(4)
        layer(torch.randn(1, 2, 32), one_document(cache))  # not advanced
        found, expected = layer(x[:, 4:], one_document(cache)), layer(x, one_document())[:, 4:]
    assert relative_error(found, expected) < 0.02


@pytest.mark.parametrize("keys", VARIANTS)
def test_gradients_reach_every_parameter_and_the_first_loss_is_ln_v(keys: dict[str, Any]) -> None:
    model = delta_model(**keys)
    loss = next_token_loss(model, random_tokens(4, 24))
    assert float(loss.detach()) == pytest.approx(math.log(61), rel=0.02)
    loss.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_initial_values_are_as_published() -> None:
    config = delta_config(pattern="D", n_heads=256, head_dim=1)
    model = Transformer(config, 61)
    model.initialise(3)
    layer = model.blocks[0].attention
    decay, convolution = layer.decay, layer.convolution
    for weight in (layer.strength.weight, decay.weight):
        assert float(weight.detach().std()) == pytest.approx(0.5 / math.sqrt(32), rel=0.05)
    rate, step = decay.log_rate.detach().exp(), F.softplus(decay.bias.detach())
    assert 0 < float(rate.min()) < 1
    assert 15 < float(rate.max()) <= 16
    assert 0.001 <= float(step.min()) < 0.0013
    assert 0.08 < float(step.max()) <= 0.1001
    assert float(step.median()) == pytest.approx(0.01, rel=0.3)  # log-uniform
    assert 0.45 < float(convolution.weight.detach().abs().max()) <= 0.5  # 1 / sqrt(4)


def test_roles_keep_the_small_parts_from_muon() -> None:
    roles = delta_model(pattern="D").roles()
    found = {name.removeprefix("blocks.0.attention."): role for name, role in roles.items() if "s.0.attention." in name}
    assert {name for name, role in found.items() if role == "matrix"} == {
        f"{part}.weight" for part in ("query", "key", "value", "gate", "output")
    }
    assert {name for name, role in found.items() if role == "mixing"} == {
        *("strength.weight", "convolution.weight"),
        *("decay.weight", "decay.bias", "decay.log_rate"),
    }
    assert {name for name, role in found.items() if role == "norm"} == {"head_norm.weight"}


def test_a_model_can_be_built_without_memory_and_filled_later() -> None:
    with torch.device("meta"):
        model = Transformer(delta_config(), 61)
    assert all(parameter.is_meta for parameter in model.parameters())
    filled, tokens = delta_model(), random_tokens(1, 8)
    model.load_state_dict(filled.state_dict(), assign=True)
    assert torch.equal(model(tokens), filled(tokens))


@pytest.mark.slow
@pytest.mark.parametrize("autocast", [False, True])
def test_a_small_hybrid_learns(autocast: bool) -> None:
    """A fixed sequence is learned by heart; under autocast too."""
    model, tokens, losses = delta_model(), random_tokens(2, 24), []
    documents = torch.tensor([[0] * 9 + [1] * 14, [0] * 23])
    for _ in range(12):
        model.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            loss = next_token_loss(model, tokens, documents=documents)
        loss.backward()
        descend(model, 5e-3)
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] * 0.8


def test_queries_and_keys_in_bfloat16_become_unit_vectors_in_float32() -> None:
    x = torch.randn(3, 5, 16).bfloat16()
    found = _unit(x)
    assert found.dtype == torch.float32
    assert float((found.double().norm(dim=-1) - 1).abs().max()) < 1e-6
    assert relative_error(found, F.normalize(x.double(), dim=-1)) < 1e-6


def test_strength_and_decay_stay_in_high_precision_under_autocast() -> None:
    layer, x = delta_model().blocks[0].attention, torch.randn(1, 6, 32)
    expected = layer._strength_and_decay(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = layer._strength_and_decay(x)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
