"""Mixture of experts: each token passes the few feed-forward networks that a router chooses for it.

No token is dropped: tokens are sorted by expert, and each expert that got some multiplies them all at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nanocore.config.layers import has_experts
from nanocore.config.schema import Config
from nanocore.model.feed_forward import FeedForward, transform
from nanocore.model.filled_rows import filled, unit
from nanocore.model.norm import RMSNorm
from nanocore.model.router import Router
from nanocore.model.stacked_linear import make_stack


class Experts(nn.Module):
    """Sum over a token's experts of weight times output, plus the shared experts, which every token passes.

    Expert i is a FeedForward `d_expert` wide, of the matrices i of each stack; SubLN's gain is one for all. Shared
    experts stand side by side in one FeedForward of their widths together (DeepSeekMoE, arXiv 2401.06066).
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        model, moe = config.model, config.moe
        width = moe.d_expert or model.d_ff
        self.router = Router(moe, model.d_model)
        gated = model.activation == "swiglu"
        self.gate = make_stack(config, moe.experts, model.d_model, width) if gated else None
        self.up = make_stack(config, moe.experts, model.d_model, width)
        self.down = make_stack(config, moe.experts, width, model.d_model)
        self.sub_norm = RMSNorm(width, model.norm_eps) if model.sub_norm else nn.Identity()
        self.shared = FeedForward(config, moe.shared * width) if moe.shared else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) to (B, T, C)."""
        experts, weights, counts = self.router(x)
        order = experts.flatten().argsort(stable=True)  # (N k) places of N = B T tokens, by expert
        place = order.argsort()  # where each of them then is
        copies = experts.shape[-1]
        rows = _Rows.apply(x.flatten(0, 1), order, place, copies)
        outputs = _Rows.apply(self._transform(rows, counts.tolist()), place, order, 1)
        mixed = (outputs.unflatten(0, weights.shape) * weights.unsqueeze(-1)).sum(dim=-2).to(outputs.dtype)
        return mixed if self.shared is None else mixed + self.shared(x)

    def _transform(self, rows: Tensor, counts: Sequence[int]) -> Tensor:
        """What the experts do to their tokens: rows (N k, C), the first counts[0] of them expert 0's, and so on."""
        ups, downs = self.up.operands(), self.down.operands()
        gates = self.gate.operands() if self.gate is not None else [None] * len(ups)
        parts = zip(rows.split(counts), gates, ups, downs, strict=True)
        outputs = [
            transform(filled(part, unit(part.device)), gate, up, down, self.sub_norm)[: len(part)]
            for part, gate, up, down in parts
            if len(part)
        ]
        return torch.cat(outputs)


class _Rows(torch.autograd.Function):
    """Rows of x (N, C) in another order: row i of the result is row order[i] // copies.

    `order` is a permutation of `copies` N numbers and `place` its inverse. The gradient is then gathered too, and not
    scattered, which would add in a changing order on a GPU.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, order: Tensor, place: Tensor, copies: int) -> Tensor:
        ctx.save_for_backward(place)
        ctx.copies = copies
        return x.index_select(0, order // copies)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_rows: Tensor) -> tuple[Tensor, None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (place,) = ctx.saved_tensors
        return d_rows.index_select(0, place).unflatten(0, (-1, ctx.copies)).sum(dim=1), None, None, None


def make_feed_forward(config: Config, layer: int) -> FeedForward | Experts:
    """The feed-forward part of block `layer`: experts in every `moe.every`-th block, counted from the last."""
    return Experts(config) if has_experts(config, layer) else FeedForward(config)
