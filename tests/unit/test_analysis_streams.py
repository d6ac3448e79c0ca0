"""The stream probe measures what really flows, and leaves no trace."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from nanocore.analysis.streams import StreamProbe, composite_gains, stream_cosine
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
    assert stream_cosine(x.expand(2, 3, 4, 8)) == pytest.approx(1.0, abs=1e-6)
    assert stream_cosine(torch.cat((x, -x), dim=2)) == pytest.approx(-1.0, abs=1e-6)
    assert stream_cosine(torch.eye(4).expand(2, 3, 4, 4) * 7) == pytest.approx(0.0, abs=1e-6)


def test_composite_gains_are_the_largest_row_and_column_sum() -> None:
    assert composite_gains(torch.tensor([[1.0, 2.0], [-3.0, 0.5]])) == (3.5, 4.0)
    two_tokens = torch.stack((torch.eye(2), 3 * torch.eye(2)))
    assert composite_gains(two_tokens) == (2.0, 2.0)
    assert composite_gains(None) == (1.0, 1.0)


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
            assert row["stream_cosine"] == pytest.approx(stream_cosine(after.detach()), rel=1e-5)
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
    first = probe.report().layers[0]
    assert "permutations" not in first and "pre" in first


@pytest.mark.parametrize("dynamic", [False, True])
def test_composite_gain_of_exact_maps_is_one(dynamic: bool) -> None:
    model = moved(streams=2, dynamic=dynamic, n_layers=4)
    probe = StreamProbe(model)
    with probe.attached():
        step(model, random_tokens(2, 17))
    summary = probe.report().summary
    assert summary["mhc/composite_gain"] == pytest.approx(1.0, abs=1e-5)
    assert summary["mhc/composite_gain_backward"] == pytest.approx(1.0, abs=1e-5)


def test_micro_batches_count_as_one_step() -> None:
    model, tokens = moved(streams=2), random_tokens(4, 17)
    probe = StreamProbe(model)
    with probe.attached():
        step(model, tokens)
    whole = probe.report().summary
    with probe.attached():
        for part in tokens.chunk(2):
            next_token_loss(model, part).backward()
    parts = probe.report().summary
    assert parts == pytest.approx(whole, rel=1e-4)


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
