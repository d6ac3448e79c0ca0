"""Hyper-connections: several residual streams, read, written and mixed around every sub-layer.

A layer F reads one combination of the n streams x (n, C) and writes back to all of them:
    x' = H_res x + H_post^T F(H_pre x)
H_pre = sigmoid and H_post = 2 sigmoid of n logits each, as in mHC (arXiv 2512.24880) and mHC-lite (arXiv 2601.05732).
H_res is one of the kinds in `residual_maps`. The unconstrained kind (HC, arXiv 2409.19606) keeps these H_pre and H_post
too, and the vec x that maps are computed from, so that a comparison of kinds compares H_res and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nanocore.model.residual_maps import KINDS, Init, Kind, ResidualMap, mixed_share

FAVOURED, OTHER = 1.0, -1.0  # initial logits of H_pre and H_post: each layer favours another stream
INITIAL_ALPHA = 0.01
EPS = 1e-6


class StreamMaps(NamedTuple):
    """H_pre and H_post (..., n), weights of the permutations (..., n!), H_res (..., n, n); None for what is not there.

    The leading dimensions are (B, T) when every token has its own maps, else none.
    """

    pre: Tensor
    post: Tensor
    permutations: Tensor | None
    res: Tensor | None


class HyperConnection(nn.Module):
    """The residual connection around sub-layer `index` of `count` (attention and feed-forward counted apart).

    Maps are constants (`pre`, `post` and `res` are their logits), or with `dynamic` also depend on the token:
    logits = alpha * (phi RMSNorm(vec x)) + constants. H_res exists where `mixes` says that it can matter, for
    every kind alike (nanocore.config.layers). One stream is the plain residual x + F(x).
    """

    def __init__(
        self,
        streams: int,
        d_model: int,
        index: int,
        count: int,
        *,
        dynamic: bool = False,
        kind: Kind = "lite",
        init: Init = "identity",
        mixes: bool = True,
    ) -> None:
        super().__init__()
        self.streams, self.favoured = streams, index % streams
        has_res = streams > 1 and mixes
        self.residual: ResidualMap = KINDS[kind](streams)
        self.share = mixed_share(init, index, count)
        sizes = [streams, streams, self.residual.size][: 3 if has_res else 2] if streams > 1 else []
        self.sizes = sizes
        self.pre = nn.Parameter(torch.empty(streams)) if sizes else None
        self.post = nn.Parameter(torch.empty(streams)) if sizes else None
        self.res = nn.Parameter(torch.empty(self.residual.size)) if has_res else None
        self.phi = nn.Parameter(torch.empty(sum(sizes), streams * d_model)) if dynamic else None
        self.alpha = nn.Parameter(torch.empty(len(sizes))) if dynamic else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """The initial values. What makes streams differ is that layers favour different ones."""
        initial = self.initial()
        for name, parameter in self.named_parameters():
            parameter.copy_(initial[name])

    def initial(self) -> dict[str, Tensor]:
        """Initial values by parameter name, float64, of the parameter's shape or one for all its entries."""
        favours = torch.full((self.streams,), OTHER, dtype=torch.float64)
        favours[self.favoured] = FAVOURED
        values = {"pre": favours, "post": favours, "res": self.residual.initial(self.share)}
        return values | {"phi": favours.new_zeros(()), "alpha": favours.new_full((), INITIAL_ALPHA)}

    def forward(self, streams: Tensor, layer: Callable[[Tensor], Tensor]) -> Tensor:
        """The streams (B, T, n, C) after `layer`, which maps (B, T, C) to (B, T, C)."""
        if self.streams == 1:
            return streams + layer(streams.squeeze(-2)).unsqueeze(-2)
        maps = self.maps(streams)
        seen, kept = _read(streams, maps)
        return _write(kept, maps, layer(seen))

    def maps(self, streams: Tensor) -> StreamMaps:
        """The maps for streams (B, T, n, C) with n > 1, in float32 at least."""
        with torch.autocast(streams.device.type, enabled=False):
            logits = self._logits(streams)
            res, weights = self.residual.matrix(logits[2]) if self.res is not None else (None, None)
            return StreamMaps(logits[0].sigmoid(), logits[1].sigmoid() * 2, weights, res)

    def _logits(self, streams: Tensor) -> list[Tensor]:
        dtype = torch.promote_types(streams.dtype, torch.float32)
        constants = [logits.to(dtype) for logits in (self.pre, self.post, self.res) if logits is not None]
        if self.phi is None or self.alpha is None:
            return constants
        from_token = _NormalisedProduct.apply(streams.flatten(-2).to(dtype), self.phi.to(dtype))
        parts = list(from_token.split(self.sizes, dim=-1))
        if self.residual.bounded and self.res is not None:
            parts[2] = parts[2].tanh()
        return [alpha * part + constant for alpha, part, constant in zip(self.alpha, parts, constants, strict=True)]


def expand(x: Tensor, streams: int) -> Tensor:
    """Equal streams at the start: (B, T, C) to (B, T, n, C)."""
    return x.unsqueeze(-2).expand(*x.shape[:-1], streams, x.shape[-1])


def collapse(streams: Tensor) -> Tensor:
    """The streams' mean at the end: (B, T, n, C) to (B, T, C)."""
    return streams.squeeze(-2) if streams.shape[-2] == 1 else streams.mean(dim=-2)


def _read(streams: Tensor, maps: StreamMaps) -> tuple[Tensor, Tensor]:
    """What the layer sees, H_pre x (B, T, C), and what stays, H_res x (N, n, C) of N = B T tokens; one product."""
    rows = maps.pre.unsqueeze(-2)
    if maps.res is not None:
        rows = torch.cat((rows, maps.res), dim=-2)  # (..., 1 + n, n)
    products = _product(_per_token(rows, streams), streams.flatten(0, 1))  # (N, 1 + n, C)
    if maps.res is None:
        return products.view(*streams.shape[:2], -1), streams.flatten(0, 1)
    seen, kept = products.split((1, streams.shape[-2]), dim=1)
    # The layer keeps what it sees until backward: as a view it would keep the other rows too.
    return seen.squeeze(1).clone().view(*streams.shape[:2], -1), kept


def _write(kept: Tensor, maps: StreamMaps, output: Tensor) -> Tensor:
    """The streams after the layer, kept + H_post^T output: (B, T, n, C), for output (B, T, C)."""
    with torch.autocast(output.device.type, enabled=False):
        post = _per_token(maps.post.unsqueeze(-1), output).to(kept.dtype)  # (N, n, 1)
        streams = torch.baddbmm(kept, post, output.flatten(0, 1).unsqueeze(1).to(kept.dtype))
        return streams.unflatten(0, output.shape[:2])


def _per_token(map_: Tensor, tokens: Tensor) -> Tensor:
    """A map of one token each as (N, rows, columns): a shared one is seen N times without being copied."""
    return map_.expand(*tokens.shape[:2], *map_.shape[-2:]).flatten(0, 1)


def _product(maps: Tensor, streams: Tensor) -> Tensor:
    with torch.autocast(streams.device.type, enabled=False):
        return torch.bmm(maps.to(streams.dtype), streams)


class _NormalisedProduct(torch.autograd.Function):
    """RMSNorm(x) phi^T without the normalised copy of x: dividing by the rms after the product is the same.

    phi has one row for each map entry (K, n C): products with such a thin matrix are many times slower transposed.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, phi: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)  # (B, T, 1), for x (B, T, n C)
        inverse = norm.square_().div_(x.shape[-1]).add_(EPS).rsqrt_()
        result = (x @ phi.mT).mul_(inverse)  # (B, T, K)
        ctx.save_for_backward(x, phi, inverse, result)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_result: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, phi, inverse, result = ctx.saved_tensors
        d_product = d_result * inverse
        along = torch.linalg.vecdot(d_result, result).unsqueeze_(-1).mul_(inverse.square()).div_(-x.shape[-1])
        d_x = (d_product @ phi).addcmul_(x, along)
        return d_x, d_product.flatten(0, -2).mT @ x.flatten(0, -2)
