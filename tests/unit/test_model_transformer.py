"""The whole decoder: initial state, gradients, cache, roles."""

from __future__ import annotations

import math

import pytest
import torch

from nanocore.model.transformer import Transformer
from nanokernels.int_matmul import chosen_path
from tests.models import descend, make_model, model_config, next_token_loss, random_tokens, relative_error

VARIANTS = [
    {},
    {"linear": "float"},
    {"group_size": 16, "sub_norm": True, "tie_embeddings": False, "activation": "relu2"},
    {"streams": 2},
    {"streams": 4, "dynamic": True, "qk_norm": False, "n_kv_heads": 1},
]
SHAPES = [  # d_model, vocabulary, tied, streams: those of the presets, and harder ones
    (128, 257, True, 1),
    (256, 257, True, 2),
    (256, 4096, True, 4),
    pytest.param(*(256, 50256, True, 2), marks=pytest.mark.slow),
    pytest.param(*(768, 257, True, 2), marks=pytest.mark.slow),
    pytest.param(*(768, 8192, True, 2), marks=pytest.mark.slow),
    pytest.param(*(768, 257, False, 2), marks=pytest.mark.slow),
    pytest.param(*(2048, 257, True, 1), marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("width", "vocabulary", "tied", "streams"), SHAPES)
def test_initial_logits_are_small_and_the_first_loss_is_ln_v(
    width: int, vocabulary: int, tied: bool, streams: int
) -> None:
    shape = {"d_model": width, "d_ff": 64, "head_dim": 16, "tie_embeddings": tied}
    model = make_model(vocabulary=vocabulary, streams=streams, **shape)
    tokens = random_tokens(4, 25, vocabulary)
    with torch.no_grad():
        logits = model.logits(model(tokens[:, :-1]))
        loss = float(next_token_loss(model, tokens))
    assert float(logits.square().mean().sqrt()) <= 0.3
    assert loss == pytest.approx(math.log(vocabulary), rel=0.02)


@pytest.mark.parametrize("keys", VARIANTS)
def test_gradient_reaches_every_parameter(keys: dict[str, object]) -> None:
    model = make_model(**keys)
    next_token_loss(model, random_tokens(4, 24)).backward()
    # The dynamic maps' alpha multiplies a product that is zero until phi has moved; test_model_hyper_connections.
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert [name for name in silent if not name.endswith(".alpha")] == []


@pytest.mark.parametrize("keys", VARIANTS)
def test_generating_with_a_cache_gives_the_logits_of_the_full_forward(keys: dict[str, object]) -> None:
    """Several tokens at once, then more at once, then one by one; two sequences."""
    model, tokens = make_model(**keys).double(), random_tokens(2, 20)
    with torch.no_grad():
        full = model.logits(model(tokens))
        cache, parts = model.new_cache(batch=2, length=24), []
        for start, end in ((0, 7), (7, 12), *((i, i + 1) for i in range(12, 20))):
            parts.append(model.logits(model(tokens[:, start:end], cache=cache)))
    cached = torch.cat(parts, dim=1)
    assert cache.length == 20
    assert relative_error(cached, full) <= 1e-9
    assert torch.equal(cached.argmax(-1), full.argmax(-1))


def test_a_cache_refuses_more_tokens_than_it_has_room_for() -> None:
    model = make_model()
    cache = model.new_cache(batch=1, length=4)
    model(random_tokens(1, 4), cache=cache)
    with pytest.raises(ValueError, match="1 x 5 tokens do not fit a cache of 1 x 4"):
        model(random_tokens(1, 1), cache=cache)
    assert model.new_cache(1, 10_000).capacity == 24  # the context length
    with pytest.raises(ValueError, match="one document"):
        model(random_tokens(1, 2), cache=model.new_cache(1, 4), documents=torch.zeros(1, 2))


def test_a_truncated_cache_continues_from_there() -> None:
    model, tokens = make_model().double(), random_tokens(1, 10)
    cache = model.new_cache(1, 24)
    with torch.no_grad():
        model(torch.cat((tokens[:, :6], random_tokens(1, 3, seed=9)), 1), cache=cache)
        cache.truncate(6)
        assert relative_error(model(tokens[:, 6:], cache=cache), model(tokens)[:, 6:]) <= 1e-9


def test_the_seed_alone_decides_the_initial_weights() -> None:
    torch.manual_seed(1)
    first = make_model(streams=2, seed=5)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = Transformer(model_config(streams=2), 61)
    second.initialise(5)
    assert torch.equal(torch.get_rng_state(), state)
    for (name, one), other in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(one, other), name
    assert not torch.equal(first.embedding.weight, make_model(seed=6).embedding.weight)


def test_a_ternary_model_and_its_float_twin_begin_with_the_same_weights() -> None:
    ternary, twin = make_model(), make_model(linear="float")
    assert list(ternary.state_dict()) == list(twin.state_dict())
    for one, other in zip(ternary.parameters(), twin.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_model_can_be_built_without_memory_and_filled_later() -> None:
    with torch.device("meta"):
        model = Transformer(model_config(streams=2, dynamic=True, tie_embeddings=False), 61)
    assert all(parameter.is_meta for parameter in model.parameters())
    assert not list(model.buffers())  # nothing besides parameters would be missing
    filled = make_model(streams=2, dynamic=True, tie_embeddings=False)
    model.load_state_dict(filled.state_dict(), assign=True)
    tokens = random_tokens(1, 8)
    assert torch.equal(model(tokens), filled(tokens))


def test_roles_say_what_each_parameter_is() -> None:
    roles = make_model(streams=2, dynamic=True, tie_embeddings=False, sub_norm=True).roles()
    block = {name.removeprefix("blocks.0."): role for name, role in roles.items() if name.startswith("blocks.0.")}
    assert {name for name, role in block.items() if role == "matrix"} == {
        *(f"attention.{part}.weight" for part in ("query", "key", "value", "output")),
        *(f"feed_forward.{part}.weight" for part in ("gate", "up", "down")),
    }
    assert {name for name, role in block.items() if role == "norm"} == {
        *(f"attention{part}.weight" for part in ("_norm", ".query_norm", ".key_norm", ".sub_norm")),
        *(f"feed_forward{part}.weight" for part in ("_norm", ".sub_norm")),
    }
    assert all("_connection." in name for name, role in block.items() if role == "mixing")
    ends = {name: role for name, role in roles.items() if not name.startswith("blocks.")}
    assert ends == {"embedding.weight": "embedding", "norm.weight": "norm", "head.weight": "head"}


def test_tied_models_have_no_head_of_their_own() -> None:
    model = make_model(tie_embeddings=True)
    assert "head" not in model.roles().values()
    assert model.head_weight is model.embedding.weight


def test_logits_are_in_high_precision_under_autocast() -> None:
    model = make_model()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = model(random_tokens(1, 8))
        logits = model.logits(hidden)
    assert logits.dtype == torch.float32
    assert torch.allclose(logits, hidden.float() @ model.head_weight.T, atol=1e-6)


@pytest.mark.slow
def test_a_small_ternary_model_learns() -> None:
    """A fixed sequence is learned by heart: the loss falls to a quarter in 45 steps."""
    model = make_model(streams=2)
    tokens = random_tokens(2, 24)
    losses = []
    for _ in range(45):
        model.zero_grad()
        loss = next_token_loss(model, tokens)
        loss.backward()
        descend(model, 5e-3)
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 4


@pytest.mark.slow
@pytest.mark.parametrize("keys", [{}, {"streams": 2, "dynamic": True}])
def test_a_compiled_model_is_one_graph_and_computes_the_same(keys: dict[str, object]) -> None:
    model, tokens = make_model(**keys), random_tokens(2, 24)
    for rows in (1, 1000):
        chosen_path(tokens.device, rows)  # measured before, not while tracing
    model(tokens)  # makes the rotary table
    compiled = torch.compile(model, fullgraph=True)
    hidden = compiled(tokens)
    expected = model(tokens)
    assert torch.allclose(hidden, expected, atol=1e-3)
    d_y = torch.randn_like(expected)
    for name, one, other in zip(
        [name for name, _ in model.named_parameters()],
        torch.autograd.grad(hidden, list(model.parameters()), d_y),
        torch.autograd.grad(expected, list(model.parameters()), d_y),
        strict=True,
    ):
        assert torch.allclose(one, other, atol=1e-2 * float(other.abs().max()) + 1e-6), name
