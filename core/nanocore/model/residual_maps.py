"""The three kinds of residual map H_res (n, n): how each makes it from logits, and where those begin.

| kind          | H_res                                                   | logits | rows and columns sum to 1 |
|---------------|---------------------------------------------------------|--------|---------------------------|
| lite          | sum over k of softmax(logits)_k P_k (arXiv 2601.05732)  | n!     | exactly                   |
| sinkhorn      | 20 Sinkhorn-Knopp steps on exp(logits) (arXiv 2512.24880) | n^2  | rows exactly, columns nearly |
| unconstrained | the logits themselves (arXiv 2409.19606)                | n^2    | as training leaves them   |

All three begin at the same map, (1 - share) I + share / n, so that runs differ in the constraint alone.
"""

from __future__ import annotations

import math
from itertools import permutations
from math import factorial
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Kind = Literal["lite", "sinkhorn", "unconstrained"]
Init = Literal["identity", "balanced", "depth"]

LEAST = -8.0  # the published initial logit of everything but the identity
SINKHORN_STEPS = 20  # of columns, then rows, as in mHC
BALANCED_SHARE = 0.9
DEEPEST_SHARE = 0.5


class ResidualMap(Protocol):
    """One kind for `streams` streams; `size` logits make a map. `bounded`: what a token adds to them passes tanh."""

    streams: int
    size: int
    bounded: bool

    def matrix(self, logits: Tensor) -> tuple[Tensor, Tensor | None]:
        """H_res (..., n, n) of logits (..., size), and the weights of the permutations (..., n!) where it has them."""
        ...

    def initial(self, share: float) -> Tensor:
        """Logits (size,), float64, of the map that mixes `share` of all streams evenly into each."""
        ...


class Lite:
    """mHC-lite: a convex combination of the n! permutations, doubly stochastic by construction (Birkhoff)."""

    bounded = False

    def __init__(self, streams: int) -> None:
        self.streams, self.size = streams, factorial(streams)

    def matrix(self, logits: Tensor) -> tuple[Tensor, Tensor | None]:
        weights = logits.softmax(dim=-1)
        return doubly_stochastic(weights), weights

    def initial(self, share: float) -> Tensor:
        """The permutations' mean is the even map 1/n. share = 0 is the published start: 0, all others -8."""
        others = share / self.size
        logits = torch.full((self.size,), _logit(others, 1 - share + others), dtype=torch.float64)
        logits[0] = 0.0
        return logits


class Sinkhorn:
    """mHC: exp(logits), its columns and rows normalised in turns until it is nearly doubly stochastic."""

    bounded = False

    def __init__(self, streams: int) -> None:
        self.streams, self.size = streams, streams**2

    def matrix(self, logits: Tensor) -> tuple[Tensor, Tensor | None]:
        return sinkhorn(logits.unflatten(-1, (self.streams, self.streams))), None

    def initial(self, share: float) -> Tensor:
        """share = 0 is 0 on the diagonal and -8 beside it, as in github.com/FFTYYY/mhc-lite."""
        others = share / self.streams
        logits = torch.full((self.streams, self.streams), _logit(others, 1 - share + others), dtype=torch.float64)
        return logits.fill_diagonal_(0.0).flatten()


class Unconstrained:
    """Hyper-connections: any matrix. A token moves each entry by at most |alpha|, through tanh."""

    bounded = True

    def __init__(self, streams: int) -> None:
        self.streams, self.size = streams, streams**2

    def matrix(self, logits: Tensor) -> tuple[Tensor, Tensor | None]:
        return logits.unflatten(-1, (self.streams, self.streams)), None

    def initial(self, share: float) -> Tensor:
        identity = torch.eye(self.streams, dtype=torch.float64)
        return ((1 - share) * identity + share / self.streams).flatten()


KINDS: dict[Kind, type[Lite] | type[Sinkhorn] | type[Unconstrained]] = {
    "lite": Lite,
    "sinkhorn": Sinkhorn,
    "unconstrained": Unconstrained,
}


def mixed_share(init: Init, index: int, count: int) -> float:
    """How much sub-layer `index` of `count` mixes at the start.

    identity 0; balanced 0.9; depth index / (2 (count - 1)): next to nothing at the first sub-layers, half at the last.
    |lambda_2| of such a map is 1 - share: what it leaves of the streams' differences. Balanced must leave some: after
    an exactly even map two of four streams are copies whose maps get the same gradients, so they stay copies for ever.
    """
    if init == "depth":
        return DEEPEST_SHARE * index / (count - 1)
    return BALANCED_SHARE if init == "balanced" else 0.0


def _logit(entry: float, diagonal: float) -> float:
    """The logit of an entry whose diagonal neighbour has logit 0; at least -8, so that it still gets a gradient."""
    return max(LEAST, math.log(entry / diagonal)) if entry else LEAST


def doubly_stochastic(weights: Tensor) -> Tensor:
    """Sum over k of weights_k P_k: (..., n!) to (..., n, n). Rows and columns sum to 1 where the weights do."""
    streams = next(n for n in range(1, 9) if factorial(n) == weights.shape[-1])
    matrices = permutation_matrices(streams, weights.device, weights.dtype)  # (n!, n, n)
    return (weights @ matrices.flatten(1)).unflatten(-1, (streams, streams))


def permutation_matrices(streams: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The n! permutation matrices (n!, n, n), the identity first."""
    key = (streams, device, dtype)
    if key not in _permutation_matrices:
        with torch.inference_mode(False):  # what is kept here must also serve training
            identity = torch.eye(streams, dtype=dtype, device=device)
            _permutation_matrices[key] = torch.stack([identity[list(p)] for p in permutations(range(streams))])
    return _permutation_matrices[key]


_permutation_matrices: dict[tuple[int, torch.device, torch.dtype], Tensor] = {}


def sinkhorn(logits: Tensor) -> Tensor:
    """20 times: divide exp(logits) (..., n, n) by its column sums, then by its row sums. Rows sum to 1."""
    return _Sinkhorn.apply(logits.movedim((-2, -1), (0, 1)).contiguous()).movedim((0, 1), (-2, -1))


class _Sinkhorn(torch.autograd.Function):
    """On (n, n, ...), tokens last, in logarithms (exp of a logit may vanish); the steps are computed again for backward.

    40 normalised copies of every token's map are too much to keep between forward and backward.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> Tensor:
        ctx.save_for_backward(logits)
        for dim in (0, 1) * SINKHORN_STEPS:
            logits = logits.log_softmax(dim)
        return logits.exp()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_map: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        steps = [ctx.saved_tensors[0]]
        for dim in (0, 1) * SINKHORN_STEPS:
            steps.append(steps[-1].log_softmax(dim))
        d_logits = d_map * steps[-1].exp()
        for dim, step in zip((1, 0) * SINKHORN_STEPS, reversed(steps), strict=False):
            d_logits = d_logits - step.exp() * d_logits.sum(dim, keepdim=True)
        return d_logits
