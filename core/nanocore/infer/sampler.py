"""Choosing the next token from logits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nanocore.errors import DivergedError, UsageError


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. Raises UsageError for values out of range.

    `temperature` divides the logits; 0 always takes the likeliest token. `top_k` keeps the k likeliest (0: all),
    `top_p` the fewest likeliest whose probabilities reach p (nucleus sampling, arXiv 1904.09751; 1: all).
    """

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise UsageError(f"temperature {self.temperature} is not 0 or more")
        if self.top_k < 0:
            raise UsageError(f"top-k {self.top_k} is negative", fix="0 keeps every token")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"top-p {self.top_p} is not above 0 and at most 1")


class Sampler:
    """Draws tokens with a generator of its own: the same seed and logits give the same tokens."""

    def __init__(self, sampling: Sampling) -> None:
        self.sampling = sampling
        self._generator = torch.Generator().manual_seed(sampling.seed % 2**63)

    def pick(self, logits: Tensor) -> int:
        """The next token for logits (V,). Raises DivergedError when they are not finite."""
        logits = logits.detach().to("cpu", torch.float64)
        if not bool(logits.isfinite().all()):
            raise DivergedError("the model's logits are not finite", fix="use an earlier checkpoint")
        if self.sampling.temperature == 0:
            return int(logits.argmax())
        weights = candidates(logits, self.sampling)
        return int(torch.multinomial(weights, 1, generator=self._generator))


def candidates(logits: Tensor, sampling: Sampling) -> Tensor:
    """Probabilities (V,) after temperature, zero outside top-k and top-p; they need not sum to 1."""
    ordered, tokens = logits.sort(descending=True, stable=True)
    # Taking the largest away first keeps a tiny temperature from making infinities.
    probabilities = ((ordered - ordered[0]) / sampling.temperature).softmax(dim=0)
    if sampling.top_k:
        probabilities[sampling.top_k :] = 0
    before = probabilities.cumsum(dim=0) - probabilities
    probabilities[before >= sampling.top_p * probabilities.sum()] = 0
    return torch.zeros_like(probabilities).scatter_(0, tokens, probabilities)
