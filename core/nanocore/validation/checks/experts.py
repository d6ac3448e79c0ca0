"""Check: a mixture of experts against the sum written out token by token, its loads, and the bias that evens them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nanocore.model.experts import Experts
from nanocore.validation.compare import error
from nanocore.validation.outcome import Found, expect, within
from nanocore.validation.tiny import tiny_model
from nanocore.validation.workshop import Workshop

EXPERTS, ACTIVE, RATE = 4, 2, 0.05
SETS = (f"moe.experts={EXPERTS}", f"moe.active={ACTIVE}", "moe.d_expert=16", "moe.shared=1", f"moe.bias_rate={RATE}")


def check(_: Workshop) -> Found:
    layer = tiny_model(6, "model.linear=float", *SETS).double().train().blocks[0].feed_forward
    assert isinstance(layer, Experts)
    x = torch.randn((2, 9, 32), dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    exact = torch.stack([_token(layer, each) for each in x.flatten(0, 1)]).view_as(x)
    worst = within("output, error", error(layer(x), exact), 1e-10)
    loads = layer.router.loads.clone()
    expect(int(loads.sum()) == 18 * ACTIVE, f"{int(loads.sum())} places counted", f"{18 * ACTIVE}: no token dropped")
    _balance(layer, loads)
    return Found(
        f"18 tokens x {ACTIVE} of {EXPERTS} experts, worst error {worst:.1e}",
        "a shared expert besides; weights add up to 1; the bias moves against the load and carries no gradient",
    )


def _token(layer: Experts, x: Tensor) -> Tensor:
    """The two best experts of a token (C,), weighed by their share of the scores, and the shared one."""
    scores = (layer.router.weight @ x).sigmoid()
    best = (scores + layer.router.bias).topk(ACTIVE).indices
    assert layer.gate is not None and layer.shared is not None and layer.shared.gate is not None
    shared = layer.shared
    mixed = _swiglu(x, layer.shared.gate.weight, shared.up.weight, shared.down.weight)
    for index in best.tolist():
        output = _swiglu(x, layer.gate.weight[index], layer.up.weight[index], layer.down.weight[index])
        mixed = mixed + scores[index] / scores[best].sum() * output
    return mixed


def _swiglu(x: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    return down @ (F.silu(gate @ x) * (up @ x))


def _balance(layer: Experts, loads: Tensor) -> None:
    before = layer.router.bias.clone()
    layer.router.update_balance(loads)
    moved = layer.router.bias - before
    exact = (loads.double().mean() - loads).sign() * RATE
    within("the bias's move, error", float((moved - exact).abs().max()), 1e-6)
    expect(not layer.router.bias.requires_grad, "the bias has a gradient", "none")
