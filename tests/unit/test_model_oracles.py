"""The same numbers as other people's implementations (dependency group `oracle`)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nanocore.model.bitlinear import BitLinear
from nanocore.model.hyper_connections import HyperConnection

pytestmark = pytest.mark.oracle


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("tokens", "inputs", "outputs"), [(33, 64, 48), (256, 256, 768)])
def test_bitlinear_computes_what_torchao_computes(tokens: int, inputs: int, outputs: int) -> None:
    """`torchao.prototype.quantized_training.bitnet_training`: outputs, input and weight gradients."""
    from torchao.prototype.quantized_training import bitnet_training
    from torchao.quantization import quantize_

    weight, d_y = random(outputs, inputs, seed=1) * 0.02, random(tokens, outputs, seed=2)
    ours = BitLinear(inputs, outputs)
    theirs = nn.Sequential(nn.Linear(inputs, outputs, bias=False))
    with torch.no_grad():
        ours.weight.copy_(weight)
        theirs[0].weight.copy_(weight)
    quantize_(theirs, bitnet_training())
    found = []
    for linear, owner in ((ours, ours), (theirs, theirs[0])):
        x = random(tokens, inputs, seed=3).requires_grad_()
        y = linear(x)
        y.backward(d_y)
        found.append((y.detach(), x.grad, owner.weight.grad))
    for one, other in zip(*found, strict=True):
        assert one is not None and other is not None
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-5 * float(other.abs().max()))


@pytest.mark.parametrize("streams", [2, 4])
def test_static_maps_mix_as_in_lucidrains_mhc(streams: int) -> None:
    """`hyper_connections.mHC` with our maps copied in: Sinkhorn leaves a doubly stochastic matrix as it is."""
    from hyper_connections.manifold_constrained_hyper_connections import mHC

    ours, branch = HyperConnection(streams, 16, 3, 8), nn.Linear(16, 16)
    theirs = mHC(streams, dim=16, branch=branch, layer_index=0)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.copy_(random(*parameter.shape, seed=parameter.numel()))
        maps = ours.maps(torch.zeros(1, 1, streams, 16))
        assert maps.res is not None and ours.pre is not None and ours.post is not None
        # Their maps are read columnwise: each column of alpha makes one output from the streams.
        theirs.static_alpha.copy_(torch.cat((ours.pre[:, None], maps.res.T.log()), dim=1))
        theirs.static_beta.copy_(ours.post)
    x = random(2, 5, streams, 16, seed=7).requires_grad_()
    rows = x.permute(0, 2, 1, 3).flatten(0, 1)  # theirs: (B n, T, C)
    expected = theirs(rows).unflatten(0, (2, streams)).permute(0, 2, 1, 3)
    found = ours(x, branch)
    assert torch.allclose(found, expected, atol=1e-5)

    d_y = random(*found.shape, seed=8)
    d_found = torch.autograd.grad(found, (x, ours.pre, ours.post), d_y)
    d_expected = torch.autograd.grad(expected, (x, theirs.static_alpha, theirs.static_beta), d_y)
    assert torch.allclose(d_found[0], d_expected[0], atol=1e-4)
    assert torch.allclose(d_found[1], d_expected[1][:, 0], atol=1e-3)
    assert torch.allclose(d_found[2], d_expected[2], atol=1e-3)


def mixed(connection: Any, streams: Tensor) -> Tensor:
    """Streams (B, T, n, C) through one of lucidrains' connections, which wants (B n, T, C)."""
    return connection(streams.permute(0, 2, 1, 3).flatten(0, 1)).unflatten(0, (len(streams), -1)).permute(0, 2, 1, 3)


@pytest.mark.parametrize("streams", [2, 4])
def test_sinkhorn_maps_mix_as_in_lucidrains_mhc(streams: int) -> None:
    """`hyper_connections.mHC` with our logits copied in. Theirs normalises rows first, ours columns as in the paper."""
    from hyper_connections.manifold_constrained_hyper_connections import mHC

    branch = nn.Linear(16, 16)
    ours = HyperConnection(streams, 16, 3, 8, kind="sinkhorn")
    theirs = mHC(streams, dim=16, branch=branch, layer_index=0)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.copy_(random(*parameter.shape, seed=parameter.numel()))
        assert ours.pre is not None and ours.post is not None and ours.res is not None
        theirs.static_alpha.copy_(torch.cat((ours.pre[:, None], ours.res.view(streams, streams).T), dim=1))
        theirs.static_beta.copy_(ours.post)
    x = random(2, 5, streams, 16, seed=7)
    found, expected = ours(x, branch), mixed(theirs, x)
    assert torch.allclose(found, expected, atol=1e-4)
    d_y = random(*found.shape, seed=8)
    (d_found,) = torch.autograd.grad(found, ours.res, d_y)
    (d_expected,) = torch.autograd.grad(expected, theirs.static_alpha, d_y)
    assert torch.allclose(d_found.view(streams, streams), d_expected[:, 1:].T, atol=1e-3)


@pytest.mark.parametrize("streams", [2, 4])
def test_unconstrained_maps_mix_as_in_lucidrains_hyper_connections(streams: int) -> None:
    """`hyper_connections.HyperConnections` takes the maps themselves; ours H_pre and H_post are sigmoids."""
    from hyper_connections import HyperConnections

    branch = nn.Linear(16, 16)
    ours = HyperConnection(streams, 16, 3, 8, kind="unconstrained")
    theirs = HyperConnections(streams, dim=16, branch=branch, layer_index=0)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.copy_(random(*parameter.shape, seed=parameter.numel()))
        assert ours.pre is not None and ours.post is not None and ours.res is not None
        maps = ours.res.view(streams, streams)
        theirs.static_alpha.copy_(torch.cat((ours.pre.sigmoid()[:, None], maps.T), dim=1))
        theirs.static_beta.copy_(2 * ours.post.sigmoid())
    x = random(2, 5, streams, 16, seed=7)
    found, expected = ours(x, branch), mixed(theirs, x)
    assert torch.allclose(found, expected, atol=1e-5)
    d_y = random(*found.shape, seed=8)
    (d_found,) = torch.autograd.grad(found, ours.res, d_y)
    (d_expected,) = torch.autograd.grad(expected, theirs.static_alpha, d_y)
    assert torch.allclose(d_found.view(streams, streams), d_expected[:, 1:].T, atol=1e-4)
