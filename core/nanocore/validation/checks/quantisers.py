"""Check: both quantisers of BitNet b1.58 and the straight-through gradients, against the formulas in float64."""

from __future__ import annotations

import torch
from torch import Tensor

from nanocore.model.bitlinear import BitLinear
from nanocore.model.quantise import ternary_weight
from nanocore.validation.compare import error
from nanocore.validation.outcome import Found, expect, within
from nanocore.validation.workshop import Workshop

OUT, IN = 48, 64
GAUSSIAN_ZEROS = 0.310  # P(|w| < E|w| / 2)


def check(workshop: Workshop) -> Found:
    """W_q = clip(round(W / mean|W|), -1, 1) mean|W|; x_q = round(127 x / max|x|) max|x| / 127; dX = dY W_q; dW = dY^T x_q."""
    size = 8 if workshop.full else 1
    worst = max(_layer(group, size) for group in (0, 16))
    zeros = float((ternary_weight(torch.randn((512, 512), generator=_seeded(3))).codes == 0).float().mean())
    within("zeros among the codes of Gaussian weights, off 0.310", abs(zeros - GAUSSIAN_ZEROS), 0.01)
    return Found(
        f"worst error {worst:.1e}, {zeros:.1%} zeros",
        "codes equal the formula's; scales, output and both straight-through gradients, with one scale and with groups",
    )


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _layer(group: int, size: int) -> float:
    layer = BitLinear(IN * size, OUT * size, group)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(layer.weight.shape, generator=_seeded(1)) * 0.02)
    x = torch.randn((2, 5, IN * size), generator=_seeded(2)).requires_grad_()
    d_y = torch.randn((2, 5, OUT * size), generator=_seeded(4))
    codes, w_q = _ternary(layer.weight.detach().double(), group)
    found = ternary_weight(layer.weight.detach(), group)
    wrong = int((found.codes != codes).sum())
    expect(
        wrong == 0,
        f"{wrong} of {codes.numel()} codes differ, groups of {group or 'all'}",
        "clip(round(W / mean|W|), -1, 1)",
    )
    x_q = _tokens(x.detach().double())
    y = layer(x)
    y.backward(d_y)
    assert layer.weight.grad is not None and x.grad is not None
    rows, d_rows = x_q.flatten(0, 1), d_y.double().flatten(0, 1)
    exact = {
        "dequantised weights": (found.dequantise(), w_q),
        "output x_q W_q^T": (y, x_q @ w_q.mT),
        "input gradient dY W_q": (x.grad, d_y.double() @ w_q),
        "weight gradient dY^T x_q": (layer.weight.grad, d_rows.mT @ rows),
    }
    return max(within(what, error(*pair), 1e-5) for what, pair in exact.items())


def _ternary(weight: Tensor, group: int) -> tuple[Tensor, Tensor]:
    """Codes, and what they stand for, in float64."""
    grouped = weight.unflatten(1, (-1, group)) if group else weight.unsqueeze(1)
    scale = grouped.abs().mean(dim=-1, keepdim=True) if group else weight.abs().mean().view(1, 1, 1)
    codes = (grouped / scale).round().clamp(-1, 1)
    return codes.flatten(1), (codes * scale).flatten(1)


def _tokens(x: Tensor) -> Tensor:
    scale = x.abs().amax(dim=-1, keepdim=True) / 127
    return (x / scale).round() * scale
