"""Check: the invariants of the residual streams, and that they do something at all.

Equal streams with equal maps stay equal for ever and learn nothing, however they are mixed: that is looked for first.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nanocore.analysis.streams import StreamProbe
from nanocore.model.hyper_connections import HyperConnection
from nanocore.model.residual_maps import KINDS, Kind
from nanocore.model.transformer import Transformer
from nanocore.validation.outcome import Found, expect, within
from nanocore.validation.steps import Trace, as_micro, random_batch, train_steps
from nanocore.validation.workshop import Workshop

COLUMN_BOUNDS: dict[Kind, float] = {"lite": 1e-5, "sinkhorn": 0.2}  # 20 Sinkhorn steps end with the rows
DEPTH = 64  # maps multiplied
LARGEST_COSINE = 0.999
UNREAD = "blocks.0.attention_connection.pre"  # equal streams: it scales what a norm makes 1 again


def check(workshop: Workshop) -> Found:
    for streams in (2, 4):
        _maps(streams)
    _plain_residual()
    cosine, gain = 0.0, 1.0
    for streams in (2, 4):
        for dynamic in ("false", "true"):
            trace = train_steps(f"mhc.streams={streams}", f"mhc.dynamic={dynamic}", count=8 if workshop.full else 3)
            found = _measured(trace)
            cosine, gain = max(cosine, found[0]), max(gain, found[1])
    return Found(
        f"gain {gain:.6f}, largest stream cosine {cosine:.3f}",
        f"2 and 4 streams, static and by token; gain also of {DEPTH} maps multiplied; every map has a gradient",
    )


def _maps(streams: int) -> None:
    """Each kind on random logits: no negative entry, sums of 1, and a product that amplifies nothing."""
    generator = torch.Generator().manual_seed(streams)
    for kind, bound in COLUMN_BOUNDS.items():
        made = KINDS[kind](streams)
        maps = made.matrix(torch.randn((DEPTH, made.size), generator=generator) * 2)[0]
        expect(bool((maps >= 0).all()), f"{kind}, {streams} streams: a negative entry", "none below 0")
        within(f"{kind}, {streams} streams: a row's sum off 1", float((maps.sum(-1) - 1).abs().max()), 1e-5)
        within(f"{kind}, {streams} streams: a column's sum off 1", float((maps.sum(-2) - 1).abs().max()), bound)
        if kind == "lite":
            product = _product(maps)
            largest = float(torch.maximum(product.abs().sum(-1).max(), product.abs().sum(-2).max()))
            within(f"{kind}, {streams} streams: gain of {DEPTH} maps above 1", largest - 1, 1e-4)


def _product(maps: Tensor) -> Tensor:
    product = torch.eye(maps.shape[-1])
    for each in maps:
        product = each @ product
    return product


def _plain_residual() -> None:
    x = torch.randn((1, 3, 1, 8), generator=torch.Generator().manual_seed(1))
    found = HyperConnection(1, 8, 0, 4)(x, torch.tanh)
    expect(torch.equal(found, x + torch.tanh(x)), "one stream is not x + F(x)", "x + F(x), bit for bit")


def _measured(trace: Trace) -> tuple[float, float]:
    """Largest cosine of two streams, and gain, in one more forward and backward pass."""
    core, probe = trace.core, StreamProbe(trace.core)
    what = f"{core.config.mhc.streams} streams, {'by token' if core.config.mhc.dynamic else 'static'}"
    trace.optimizers.zero_grad()
    micro = as_micro(random_batch(core.config, 99))
    with probe.attached():
        core.logits(core(micro.tokens)).logsumexp(-1).sum().backward()
    summary = probe.report().summary
    cosine = within(f"{what}: cosine of the closest", summary["mhc/closest_cosine"], LARGEST_COSINE)
    for way, key in (("forward", "mhc/composite_gain"), ("backward", "mhc/composite_gain_backward")):
        within(f"{what}: {way} gain off 1", abs(summary[key] - 1), 1e-4)
    _learn(what, core)
    return cosine, summary["mhc/composite_gain"]


def _learn(what: str, core: Transformer) -> None:
    """Every map has a gradient of finite numbers that are not all 0."""
    for name, parameter in core.named_parameters():
        if "connection" in name and name != UNREAD:
            gradient = parameter.grad
            learns = gradient is not None and bool(gradient.any() and gradient.isfinite().all())
            expect(learns, f"{what}: {name} has no gradient, or one that is not finite", "one that is not 0")
