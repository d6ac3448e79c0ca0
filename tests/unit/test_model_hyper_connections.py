"""Hyper-connections of all kinds: the published formula, streams that really differ, one stream as the plain residual."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nanocore.config.layers import mixes_streams
from nanocore.config.validate import build
from nanocore.model.hyper_connections import HyperConnection, collapse, expand
from nanocore.model.residual_maps import KINDS, Init, Kind, doubly_stochastic, permutation_matrices
from tests.models import descend, make_model, next_token_loss, random_tokens

FORMS = [(2, False), (2, True), (4, False), (4, True)]


def connection(streams: int, dynamic: bool, index: int = 3, count: int = 8, kind: Kind = "lite") -> HyperConnection:
    """One in the middle of a model, with random maps."""
    made = HyperConnection(streams, 16, index, count, dynamic=dynamic, kind=kind)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(parameter.numel()))
    return made


def rows(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("streams", "dynamic"), FORMS)
def test_residual_maps_are_doubly_stochastic(streams: int, dynamic: bool) -> None:
    with torch.no_grad():
        maps = connection(streams, dynamic).maps(rows(2, 5, streams, 16) * 10)
    assert maps.res is not None and maps.res.shape[-2:] == (streams, streams)
    assert bool((maps.res >= 0).all())
    for dim in (-1, -2):
        sums = maps.res.sum(dim)
        assert float((sums - 1).abs().max()) <= 1e-6
    assert bool(((maps.pre > 0) & (maps.pre < 1)).all()) and bool(((maps.post > 0) & (maps.post < 2)).all())


def published_map(kind: Kind, logits: Tensor, streams: int) -> Tensor:
    """H_res of one token."""
    if kind == "lite":
        return torch.einsum("k,kij->ij", logits.softmax(0), permutation_matrices(streams, logits.device, logits.dtype))
    matrix = logits.view(streams, streams)
    if kind == "sinkhorn":
        matrix = matrix.exp()
        for _ in range(20):
            matrix = matrix / matrix.sum(0, keepdim=True)
            matrix = matrix / matrix.sum(1, keepdim=True)
    return matrix


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("streams", "dynamic"), FORMS)
@pytest.mark.parametrize("index", [0, 3, 7])
def test_forward_is_the_published_formula(kind: Kind, streams: int, dynamic: bool, index: int) -> None:
    """x' = H_res x + H_post^T F(H_pre x) with maps from alpha * (phi RMSNorm(vec x)) + bias, token by token.

    What a token adds to an unconstrained H_res passes tanh first.
    """
    layer, x = connection(streams, dynamic, index, kind=kind), rows(2, 3, streams, 16)
    found = layer(x, torch.tanh)
    assert layer.pre is not None and layer.post is not None
    biases = [bias for bias in (layer.pre, layer.post, layer.res) if bias is not None]
    for b in range(2):
        for t in range(3):
            logits = list(biases)
            if layer.phi is not None and layer.alpha is not None:
                vector = torch.nn.functional.rms_norm(x[b, t].flatten(), (streams * 16,), eps=1e-6)
                parts = list((layer.phi @ vector).split([len(bias) for bias in biases]))
                if kind == "unconstrained":
                    parts[2:] = [part.tanh() for part in parts[2:]]
                logits = [a * part + bias for a, part, bias in zip(layer.alpha, parts, biases, strict=True)]
            res = published_map(kind, logits[2], streams) if len(logits) == 3 else torch.eye(streams)
            output = torch.tanh(logits[0].sigmoid() @ x[b, t])
            expected = res @ x[b, t] + 2 * logits[1].sigmoid()[:, None] * output
            assert torch.allclose(found[b, t], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "streams", "dynamic"),
    [*(("lite", *form) for form in FORMS), *((kind, 4, True) for kind in ("sinkhorn", "unconstrained"))],
)
def test_gradients_match_finite_differences(kind: Kind, streams: int, dynamic: bool) -> None:
    layer = connection(streams, dynamic, kind=kind).double()
    x = rows(1, 2, streams, 16).double().requires_grad_()
    names = [name for name, _ in layer.named_parameters()]

    def run(x: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x, torch.tanh))

    assert torch.autograd.gradcheck(run, (x, *layer.parameters()), atol=1e-6, fast_mode=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dynamic", [False, True])
def test_renaming_the_streams_renames_the_result(kind: Kind, dynamic: bool) -> None:
    """Streams have no order: with all maps renamed alike, permuted streams come out permuted."""
    order = torch.tensor([2, 0, 3, 1])
    plain, renamed = connection(4, dynamic, kind=kind), connection(4, dynamic, kind=kind)
    if kind == "lite":  # permutation k becomes that of the renamed streams
        matrices = permutation_matrices(4, order.device, torch.float32)
        moved = matrices[:, order][:, :, order]
        places = torch.stack([(matrices == each).all((1, 2)).nonzero()[0, 0] for each in moved]).argsort()
    else:
        places = torch.arange(16).view(4, 4)[order][:, order].flatten()
    logits = torch.cat((order, 4 + order, 8 + places))
    with torch.no_grad():
        for one, other, its_order in zip(
            (renamed.pre, renamed.post, renamed.res), (plain.pre, plain.post, plain.res), (order, order, places),
            strict=True,
        ):  # fmt: skip
            assert one is not None and other is not None
            one.copy_(other[its_order])
        if plain.phi is not None and renamed.phi is not None:
            renamed.phi.copy_(plain.phi[logits].unflatten(1, (4, 16))[:, order].flatten(1))
        x = rows(2, 3, 4, 16)
        assert torch.allclose(renamed(x[:, :, order], torch.tanh), plain(x, torch.tanh)[:, :, order], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_maps_are_float32_at_least_whatever_the_streams_are(kind: Kind) -> None:
    layer = connection(4, True, kind=kind)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        narrow = layer.maps(rows(1, 2, 4, 16).bfloat16())
        wide = layer.double().maps(rows(1, 2, 4, 16).double())
    assert narrow.res is not None and narrow.res.dtype == torch.float32
    assert wide.res is not None and wide.res.dtype == torch.float64


def test_streams_begin_as_copies_and_end_as_their_mean() -> None:
    x, streams = rows(2, 3, 16), rows(2, 3, 4, 16)
    assert torch.equal(expand(x, 4)[:, :, 3], x) and expand(x, 4).shape == (2, 3, 4, 16)
    assert torch.allclose(collapse(streams), (streams[:, :, 0] + streams[:, :, 1:].sum(2)) / 4)


def test_the_initial_maps_are_the_published_ones() -> None:
    layer = HyperConnection(4, 16, 6, 12)
    with torch.no_grad():
        maps = layer.maps(rows(1, 1, 4, 16))
    low, high = torch.tensor([-1.0, 1.0]).sigmoid().tolist()
    assert maps.pre.tolist() == pytest.approx([low, low, high, low])  # sub-layer 6 favours stream 6 mod 4
    assert maps.post.tolist() == pytest.approx([2 * low, 2 * low, 2 * high, 2 * low])
    assert maps.permutations is not None
    assert float(maps.permutations[0]) == pytest.approx(1 / (1 + 23 * 2.718281828**-8), rel=1e-5)


def test_dynamic_maps_begin_as_the_static_ones_and_then_differ_by_token() -> None:
    static, dynamic = HyperConnection(2, 16, 1, 4), HyperConnection(2, 16, 1, 4, dynamic=True)
    x = rows(1, 3, 2, 16)
    assert torch.allclose(dynamic.maps(x).pre, static.maps(x).pre.expand(1, 3, 2))
    assert dynamic.phi is not None
    torch.nn.init.normal_(dynamic.phi)
    pre = dynamic.maps(x).pre
    assert not torch.allclose(pre[0, 0], pre[0, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_one_stream_is_the_plain_residual_bit_for_bit(kind: Kind) -> None:
    layer, x = HyperConnection(1, 16, 3, 8, kind=kind), rows(2, 3, 16)
    assert not list(layer.parameters())
    assert torch.equal(collapse(layer(expand(x, 1), torch.tanh)), x + torch.tanh(x))

    model = make_model(streams=1)
    tokens = random_tokens(2, 16)
    context = model.context(tokens, None, None, None)
    x = model.embedding(tokens)
    for block in model.blocks:
        x = x + block.attention(block.attention_norm(x), context)
        x = x + block.feed_forward(block.feed_forward_norm(x))
    assert torch.equal(model(tokens), model.norm(x))


def test_the_first_and_last_residual_map_do_not_exist_because_they_could_change_nothing() -> None:
    names = [name for name, _ in make_model(streams=2).named_parameters() if name.endswith("connection.res")]
    assert names == ["blocks.0.feed_forward_connection.res", "blocks.1.attention_connection.res"]
    x = rows(2, 3, 16)
    mixed = doubly_stochastic(torch.tensor([0.3, 0.7])) @ expand(x, 2)
    assert torch.allclose(mixed, expand(x, 2), atol=1e-6)  # first: equal streams stay equal
    streams = rows(2, 3, 2, 16)
    mixed = doubly_stochastic(torch.tensor([0.3, 0.7])) @ streams
    assert torch.allclose(collapse(mixed), collapse(streams), atol=1e-6)  # last: the mean is the same


@pytest.mark.parametrize(
    ("before", "after", "first", "last"), [(0, 0, True, True), (1, 0, False, True), (0, 1, True, False)]
)
def test_a_loop_that_leads_back_gives_the_outer_residual_maps_a_meaning(
    before: int, after: int, first: bool, last: bool
) -> None:
    config = build(
        {"model": {"n_layers": 2}, "mhc": {"streams": 2}, "loop": {"count": 2, "before": before, "after": after}}
    )
    assert (mixes_streams(config, 0), mixes_streams(config, 3)) == (first, last)
    assert mixes_streams(config, 1) and mixes_streams(config, 2)


def test_a_model_is_built_as_the_configuration_says() -> None:
    model = make_model(streams=4, dynamic=True, kind="sinkhorn", init="balanced", n_layers=3)
    made = [block.attention_connection for block in model.blocks]
    assert [connection.res is None for connection in made] == [True, False, False]
    for each in made[1:]:
        found = each.maps(rows(1, 1, 4, 32)).res
        assert found is not None and torch.allclose(found, 0.1 * torch.eye(4) + 0.9 / 4)
    depth = make_model(streams=2, kind="unconstrained", init="depth", n_layers=2).blocks[1].attention_connection.res
    assert depth is not None and depth.tolist() == pytest.approx([1 - 1 / 6, 1 / 6, 1 / 6, 1 - 1 / 6])  # share 1/3


@pytest.mark.parametrize(
    ("kind", "init", "streams", "dynamic"),
    [
        *(("lite", "identity", *form) for form in FORMS),
        *((kind, init, 4, True) for kind in KINDS for init in ("balanced", "depth")),
        *((kind, "identity", 4, kind == "sinkhorn") for kind in ("sinkhorn", "unconstrained")),
    ],
)
def test_streams_differ_and_every_mixing_parameter_gets_gradient_within_3_steps(
    kind: Kind, init: Init, streams: int, dynamic: bool
) -> None:
    """The earlier system's streams stayed bit-identical for 20 000 steps and its maps never moved."""
    model = make_model(streams=streams, dynamic=dynamic, kind=kind, init=init)
    mixing = {name: p for name, p in model.named_parameters() if "_connection." in name}
    touched = {name: torch.zeros_like(p, dtype=torch.bool) for name, p in mixing.items()}
    tokens = random_tokens(4, 24)
    for _ in range(3):
        model.zero_grad()
        next_token_loss(model, tokens).backward()
        for name, parameter in mixing.items():
            assert parameter.grad is not None
            touched[name] |= parameter.grad != 0
        descend(model, 1e-3)
    assert [name for name, where in touched.items() if not where.all()] == []

    seen = []
    model.blocks[-1].attention_connection.register_forward_hook(lambda module, arguments, output: seen.append(output))
    with torch.no_grad():
        model(tokens)
    streams_apart = seen[0]
    for i in range(streams):
        for j in range(i):
            distance = (streams_apart[:, :, i] - streams_apart[:, :, j]).square().mean().sqrt()
            assert float(distance / streams_apart.square().mean().sqrt()) > 1e-3
