"""Measures of the maps between residual streams: of one H_res, and of the product of all. Maps are (..., n, n)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nanocore.model.hyper_connections import HyperConnection, StreamMaps

MOST_TOKENS = 256  # whose eigenvalues are taken: each costs microseconds, on the CPU


def token_measures(maps: StreamMaps) -> dict[str, Tensor]:
    """Maps and measures (..., k) of every token, to be averaged. What needs H_res is absent where there is none."""
    found = {"pre": maps.pre, "post": maps.post}
    found |= {f"{key}_balance": imbalance(found[key]) for key in ("pre", "post")}
    if maps.permutations is not None:
        found["permutations"] = maps.permutations
        found["permutation_entropy"] = torch.special.entr(maps.permutations).sum(-1, keepdim=True)
    if maps.res is not None:
        found["res"] = maps.res.flatten(-2)
        found["mixing_entropy"] = mixing_entropy(maps.res)
        found["orthogonality_error"] = orthogonality_error(maps.res)
    return found


def imbalance(map_: Tensor) -> Tensor:
    """Standard deviation over mean of H_pre or H_post (..., n): 0 when all streams count alike. (..., 1)"""
    return map_.std(-1, correction=0, keepdim=True) / map_.mean(-1, keepdim=True)


def mixing_entropy(res: Tensor) -> Tensor:
    """Mean entropy in nats of the rows' shares |h| / sum |h|: 0 takes one stream, ln n all alike. (..., 1)"""
    sizes = res.abs()
    shares = sizes / sizes.sum(-1, keepdim=True).clamp_min(torch.finfo(res.dtype).tiny)
    return torch.special.entr(shares).sum(-1).mean(-1, keepdim=True)


def orthogonality_error(res: Tensor) -> Tensor:
    """Frobenius norm of H^T H - I: 0 for the identity and permutations, sqrt(n - 1) for even mixing. (..., 1)"""
    identity = torch.eye(res.shape[-1], dtype=res.dtype, device=res.device)
    return (res.mT @ res - identity).flatten(-2).norm(dim=-1, keepdim=True)


def second_eigenvalue(res: Tensor) -> float:
    """Second largest |eigenvalue|, mean over at most 256 evenly spaced tokens; nan when an entry is not finite.

    The largest is 1 for a doubly stochastic map (all streams alike stay alike); the second says how much of the
    streams' differences the map leaves, 1 all and 0 none.
    """
    tokens = res.reshape(-1, *res.shape[-2:])
    tokens = tokens[:: math.ceil(len(tokens) / MOST_TOKENS)].double().cpu()
    if not tokens.isfinite().all():
        return math.nan
    return float(torch.linalg.eigvals(tokens).abs().sort(dim=-1).values[:, -2].mean())


def composite_gains(product: Tensor | None) -> tuple[float, float]:
    """Largest absolute row and column sum of maps, means over tokens (arXiv 2512.24880, Fig. 3); 1 of no map."""
    if product is None:
        return 1.0, 1.0
    sizes = product.abs()
    return float(sizes.sum(-1).amax(-1).mean()), float(sizes.sum(-2).amax(-1).mean())


def least_column_sum(product: Tensor | None) -> float:
    """Smallest absolute column sum over all tokens: how much the most forgotten stream still counts; 1 of no map."""
    return 1.0 if product is None else float(product.abs().sum(-2).amin())


def departure(connection: HyperConnection) -> float:
    """How far its parameters are from where they began: the largest change in each, and of these the smallest.

    0 says that one of them never moved, as when it gets no gradient; the maps it makes are those of the start.
    """
    initial = connection.initial()
    changes = (parameter.detach() - initial[name].to(parameter) for name, parameter in connection.named_parameters())
    return min(float(change.abs().max()) for change in changes)
