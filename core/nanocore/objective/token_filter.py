"""Which tokens are worth a backward pass: those of the largest importance, a fixed share of every sequence.

Importance is a token's own loss, or its excess over a reference model's (Rho-1, arXiv 2404.07965). The papers choose in
the whole batch; here each sequence keeps its share, so that micro-batches and processes change nothing, and all
sequences have as many rows. Counts are exact to one token over the global batch.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def kept_counts(targets: np.ndarray, keep: float) -> np.ndarray:
    """How many tokens each row of the global batch (B, T) keeps, (B,): together keep x targets, rounded once."""
    through = np.rint(keep * np.cumsum((targets >= 0).sum(axis=1))).astype(np.int64)
    return np.diff(through, prepend=0)


def choose(importance: Tensor, targets: Tensor, counts: Tensor) -> Tensor:
    """True at the `counts` (B,) most important positions of each row (B, T); positions without target never."""
    ranked = importance.masked_fill(targets < 0, float("-inf"))
    order = ranked.argsort(dim=1, descending=True, stable=True)
    first = torch.arange(targets.shape[1], device=targets.device) < counts[:, None]  # (B, T)
    return torch.zeros_like(first).scatter_(1, order, first)


def union_with_further(kept: Tensor, horizon: int) -> Tensor:
    """Positions from which a kept token is predicted, (B, T), by the main head or one that looks further ahead."""
    union = kept.clone()
    for ahead in range(1, horizon + 1):
        union[:, :-ahead] |= kept[:, ahead:]
    return union


def importance_quantiles(importance: Tensor, targets: Tensor) -> Tensor:
    """The 10th, 50th and 90th percentile (3,) of each sequence's targets, times their number, summed over sequences."""
    points = torch.tensor([0.1, 0.5, 0.9], dtype=importance.dtype, device=importance.device)
    scored = importance.masked_fill(targets < 0, float("nan"))
    return scored.nanquantile(points, dim=1).nan_to_num() @ (targets >= 0).sum(dim=1).to(importance.dtype)
