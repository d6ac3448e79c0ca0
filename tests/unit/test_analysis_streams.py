"""The stream probe measures what really flows, and leaves no trace."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from nanocore.analysis.stream_maps import departure
from nanocore.analysis.streams import StreamProbe, pair_cosines
from nanocore.model.residual_maps import KINDS, Kind
from nanocore.model.transformer import Transformer
from nanocore.runs.metrics import METRICS
from tests.models import make_model, next_token_loss, random_tokens


def step(model: Transformer, tokens: Tensor) -> Tensor:
    model.zero_grad()
    loss = next_token_loss(model, tokens)
    loss.backward()
    return loss.detach()


def moved(**keys: object) -> Transformer:
    """A model whose maps are no longer the initial ones."""
    model = make_model(**keys)
    for name, parameter in model.named_parameters():
        if "_connection." in name:
            torch.nn.init.normal_(parameter, std=0.5, generator=torch.Generator().manual_seed(parameter.numel()))
    return model


def test_cosine_of_equal_opposite_and_orthogonal_streams() -> None:
    x = torch.randn(2, 3, 1, 8)
    assert torch.allclose(pair_cosines(x.expand(2, 3, 4, 8)), torch.ones(4, 4))
    assert torch.allclose(pair_cosines(torch.cat((x, -x), dim=2)), torch.tensor([[1.0, -1.0], [-1.0, 1.0]]))
    assert torch.allclose(pair_cosines(torch.eye(4).expand(2, 3, 4, 4) * 7), torch.eye(4))


@pytest.mark.parametrize(("streams", "dynamic"), [(1, False), (2, False), (4, True)])
def test_norm_ratios_are_those_of_the_tensors_that_flow(streams: int, dynamic: bool) -> None:
    model, tokens = moved(streams=streams, dynamic=dynamic), random_tokens(2, 17)
    names = [name for name, _ in model.named_modules() if name.endswith("_connection")]
    flow: list[tuple[Tensor, Tensor]] = []

    def keep(module: object, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        arguments[0].retain_grad()
        output.retain_grad()
        flow.append((arguments[0], output))

    for name in names:
        model.get_submodule(name).register_forward_hook(keep)
    probe = StreamProbe(model)
    with probe.attached():
        step(model, tokens)
    report = probe.report()

    def norm(x: Tensor | None) -> float:
        assert x is not None
        return float(x.detach().norm())

    assert [row["name"] for row in report.layers] == [name.removesuffix("_connection") for name in names]
    for row, (before, after) in zip(report.layers, flow, strict=True):
        assert row["forward_norm_ratio"] == pytest.approx(norm(after) / norm(before), rel=1e-4)
        assert row["backward_norm_ratio"] == pytest.approx(norm(before.grad) / norm(after.grad), rel=1e-4)
        if streams > 1:
            cosines = pair_cosines(after.detach())
            pairs = [float(cosines[i, j]) for i in range(streams) for j in range(i)]
            assert row["stream_cosine"] == pytest.approx(sum(pairs) / len(pairs), rel=1e-5)
            assert row["closest_cosine"] == pytest.approx(max(pairs), rel=1e-5)
    summary = report.summary
    assert summary["mhc/forward_norm_ratio"] == pytest.approx(norm(flow[-1][1]) / norm(flow[0][0]), rel=1e-4)
    assert summary["mhc/backward_norm_ratio"] == pytest.approx(norm(flow[0][0].grad) / norm(flow[-1][1].grad), rel=1e-4)
    assert set(summary) <= set(METRICS)
    assert ("mhc/stream_cosine" in summary) is (streams > 1)


def test_records_hold_the_maps_averaged_over_tokens() -> None:
    model, tokens = moved(streams=4, dynamic=True), random_tokens(2, 17)
    connection = model.blocks[1].attention_connection
    seen = []
    connection.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0].detach()))
    probe = StreamProbe(model)
    with probe.attached():
        step(model, tokens)
    row = next(row for row in probe.report().layers if row["name"] == "blocks.1.attention")
    with torch.no_grad():
        maps = connection.maps(seen[0])
    assert maps.permutations is not None
    pre, weights = maps.pre.mean((0, 1)), maps.permutations
    assert row["pre"] == pytest.approx(pre.tolist(), rel=1e-5)
    assert row["pre_spread"] == pytest.approx(float(pre.max() - pre.min()), rel=1e-4)
    assert row["post"] == pytest.approx(maps.post.mean((0, 1)).tolist(), rel=1e-5)
    assert row["permutations"] == pytest.approx(weights.mean((0, 1)).tolist(), rel=1e-4)
    assert row["permutation_entropy"] == pytest.approx(float(-(weights * weights.log()).sum(-1).mean()), rel=1e-4)
    assert 0 < row["permutation_entropy"] < math.log(24)
    assert maps.res is not None and connection.alpha is not None
    gram = maps.res.mT @ maps.res - torch.eye(4)
    assert row["orthogonality_error"] == pytest.approx(float(gram.square().sum((-2, -1)).sqrt().mean()), rel=1e-4)
    second = torch.linalg.eigvals(maps.res).abs().sort(-1).values[..., -2]
    assert row["second_eigenvalue"] == pytest.approx(float(second.mean()), rel=1e-4)
    assert row["mixing_entropy"] == pytest.approx(float(-(maps.res * maps.res.log()).sum(-1).mean()), rel=1e-4)
    balance = maps.post.std(-1, correction=0) / maps.post.mean(-1)
    assert row["post_balance"] == pytest.approx(float(balance.mean()), rel=1e-4)
    assert row["alpha"] == pytest.approx(connection.alpha.tolist())
    first = probe.report().layers[0]
    assert "permutations" not in first and "second_eigenvalue" not in first and "pre" in first


@pytest.mark.parametrize("dynamic", [False, True])
def test_composite_gain_of_exact_maps_is_one(dynamic: bool) -> None:
    model = moved(streams=2, dynamic=dynamic, n_layers=4)
    probe = StreamProbe(model)
    with probe.attached():
        step(model, random_tokens(2, 17))
    summary = probe.report().summary
    for key in ("composite_gain", "composite_gain_backward", "least_column_sum"):
        assert summary[f"mhc/{key}"] == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dynamic", [False, True])
def test_gains_are_those_of_every_tokens_own_product_over_all_sub_layers(kind: Kind, dynamic: bool) -> None:
    model, tokens = moved(streams=4, dynamic=dynamic, kind=kind, n_layers=3), random_tokens(2, 17)
    factors: list[Tensor] = []

    def keep(module: object, arguments: tuple[Tensor, ...]) -> None:
        with torch.no_grad():
            res = module.maps(arguments[0]).res  # type: ignore[attr-defined]
            if res is not None:
                factors.append(res.detach().expand(2, 16, 4, 4))

    for name, module in model.named_modules():
        if name.endswith("_connection"):
            module.register_forward_pre_hook(keep)
    probe = StreamProbe(model)
    with probe.attached():
        step(model, tokens)
    assert len(factors) == 4  # six sub-layers, attention and feed-forward apart, less the first and the last
    product = torch.eye(4)
    for res in factors:
        product = res @ product
    sums = product.abs().sum(-1), product.abs().sum(-2)
    summary, row = probe.report().summary, probe.report().layers[-2]
    for found in (summary["mhc/composite_gain"], row["gain"]):
        assert found == pytest.approx(float(sums[0].amax(-1).mean()), rel=1e-4)
    assert summary["mhc/composite_gain_backward"] == pytest.approx(float(sums[1].amax(-1).mean()), rel=1e-4)
    assert summary["mhc/least_column_sum"] == pytest.approx(float(sums[1].min()), rel=1e-4)
    assert row["res"] == pytest.approx(factors[-1].mean((0, 1)).flatten().tolist(), rel=1e-4, abs=1e-6)
    assert set(summary) <= set(METRICS)


def test_what_runs_again_in_the_backward_pass_does_not_count() -> None:
    """As blocks do under activation checkpointing, from inputs whose history is not known; here from other tokens."""
    model, tokens = moved(streams=4, dynamic=True, kind="unconstrained"), random_tokens(2, 17)
    probe, reports = StreamProbe(model), []
    for again in (False, True):
        with probe.attached():
            hidden = model(tokens)
            if again:
                hidden.register_hook(lambda gradient: model(tokens.flip(1)).detach() * 0 + gradient)
            hidden.square().sum().backward()
        reports.append(probe.report())
    assert reports[0].summary == pytest.approx(reports[1].summary, rel=1e-6)


def test_a_block_that_runs_twice_is_twice_in_the_product() -> None:
    model = moved(streams=2, kind="unconstrained", n_layers=3)
    middle, tokens = model.blocks[1], random_tokens(2, 17)
    probe = StreamProbe(model)
    with probe.attached(), torch.no_grad():
        context = model.context(tokens, None, None)
        middle(middle(torch.randn(2, 17, 2, 32), context), context)
    first, second = (
        each.res.detach().view(2, 2) for each in (middle.attention_connection, middle.feed_forward_connection)
    )
    product = second @ first @ second @ first
    both = (second @ first).abs().sum(-1).max() + product.abs().sum(-1).max()
    assert probe.report().layers[-1]["gain"] == pytest.approx(float(both) / 2, rel=1e-5)


def test_how_far_maps_are_from_their_start_counts_the_parameter_that_moved_least() -> None:
    connection = make_model(streams=4, dynamic=True).blocks[0].feed_forward_connection
    assert departure(connection) == 0.0
    with torch.no_grad():
        for name, parameter in connection.named_parameters():
            assert departure(connection) == 0.0
            parameter[-1] += 0.1 if name == "pre" else 0.5
    assert departure(connection) == pytest.approx(0.1)


def test_micro_batches_count_as_one_step() -> None:
    model, tokens = moved(streams=2, dynamic=True, kind="unconstrained"), random_tokens(4, 17)
    probe = StreamProbe(model)
    with probe.attached():
        step(model, tokens)
    whole = probe.report().summary
    for order in (tokens, tokens.flip(0)):
        with probe.attached():
            for part in order.chunk(2):
                next_token_loss(model, part).backward()
        assert probe.report().summary == pytest.approx(whole, rel=1e-4)


def test_a_watched_step_is_bit_identical_and_leaves_no_hooks() -> None:
    model, tokens = make_model(streams=2, dynamic=True), random_tokens(2, 17)
    plain = step(model, tokens)
    gradients = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    probe = StreamProbe(model)
    with probe.attached():
        watched = step(model, tokens)
    assert torch.equal(plain, watched)
    for before, parameter in zip(gradients, model.parameters(), strict=True):
        assert parameter.grad is not None and torch.equal(before, parameter.grad)
    assert not any(module._forward_hooks for module in model.modules())
    assert probe.report().layers != []


def test_nothing_seen_is_reported_as_nothing() -> None:
    probe = StreamProbe(make_model(streams=2))
    assert probe.report().summary == {}
    with probe.attached():
        pass
    assert probe.report().summary == {} and probe.report().layers == []


def test_streams_that_do_not_train_have_no_backward_ratio() -> None:
    model = make_model(streams=2).requires_grad_(False)
    probe = StreamProbe(model)
    with probe.attached():
        model(random_tokens(1, 8))
    report = probe.report()
    assert "mhc/forward_norm_ratio" in report.summary and "mhc/backward_norm_ratio" not in report.summary
    assert probe.judge(report, 1).model.level == "healthy"
