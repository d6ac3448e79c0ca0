"""Choosing the next token from logits.

In this order: repetition penalty, temperature, top-k, top-p, min-p; then one draw from what is left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any, TypeVar

import torch
from torch import Tensor

from nanocore.errors import DivergedError, UsageError

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. Raises UsageError for values out of range, and for what is no number.

    `temperature` divides the logits; 0 always takes the likeliest token. `top_k` keeps the k likeliest (0: all),
    `top_p` the fewest likeliest whose probabilities reach p (nucleus sampling, arXiv 1904.09751; 1: all), `min_p` those
    at least this share as likely as the likeliest (arXiv 2407.01082; 0: all). `repetition_penalty` (arXiv 1909.05858)
    makes the last `repetition_window` tokens of the text less likely (1: off; window 0: the whole text).
    """

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    repetition_window: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        for each in fields(self):
            kind = int if isinstance(each.default, int) else float
            object.__setattr__(self, each.name, number(each.name, getattr(self, each.name), kind))
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise UsageError(f"temperature {self.temperature} is not 0 or more")
        if self.top_k < 0:
            raise UsageError(f"top-k {self.top_k} is negative", fix="0 keeps every token")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"top-p {self.top_p} is not above 0 and at most 1")
        if not 0 <= self.min_p <= 1:
            raise UsageError(f"min-p {self.min_p} is not between 0 and 1")
        if not (math.isfinite(self.repetition_penalty) and self.repetition_penalty > 0):
            raise UsageError(f"repetition penalty {self.repetition_penalty} is not above 0", fix="1 switches it off")
        if self.repetition_window < 0:
            raise UsageError(f"repetition window {self.repetition_window} is negative", fix="0 is the whole text")


def number(name: str, value: Any, kind: type[Number]) -> Number:
    """The value of a setting as an int or a float. Raises UsageError when it is none."""
    if isinstance(value, bool) or not issubclass(type(value), Integral if kind is int else Real):
        raise UsageError(f"{name} is a {type(value).__name__}, not a {'whole ' * (kind is int)}number")
    try:
        return kind(value)
    except OverflowError:
        raise UsageError(f"{name} is too large") from None


class Sampler:
    """Draws tokens with a generator of its own: the same seed and logits give the same tokens.

    `text` is what the next token follows, for the repetition penalty. `exempt` (BOS) is never penalised: it stands for no
    text, only for where one begins and ends.
    """

    def __init__(self, sampling: Sampling, exempt: int = -1) -> None:
        self.sampling, self._exempt = sampling, exempt
        self._generator = torch.Generator().manual_seed(sampling.seed % 2**63)

    def pick(self, logits: Tensor, text: Sequence[int] = ()) -> int:
        """The next token for logits (V,). Raises DivergedError when they are not finite."""
        logits = self._adjusted(logits, text)
        if self.sampling.temperature == 0:
            return int(logits.argmax())
        return self.draw(candidates(logits, self.sampling))

    def distribution(self, logits: Tensor, text: Sequence[int] = ()) -> Tensor:
        """The probabilities (V,) with which `pick` would choose, in float64. Raises DivergedError as it does."""
        logits = self._adjusted(logits, text)
        if self.sampling.temperature == 0:
            return torch.zeros_like(logits).index_fill_(0, logits.argmax(), 1.0)
        weights = candidates(logits, self.sampling)
        return weights / weights.sum()

    def draw(self, weights: Tensor) -> int:
        """A token with probability in proportion to weights (V,): one random number, found in the running sums."""
        sums = weights.cumsum(dim=0)
        return int(torch.searchsorted(sums, sums[-1] * self.uniform(), right=True))

    def uniform(self) -> float:
        """A random number, at least 0 and below 1."""
        return float(torch.rand((), generator=self._generator, dtype=torch.float64))

    def _adjusted(self, logits: Tensor, text: Sequence[int]) -> Tensor:
        logits = logits.detach().to("cpu", torch.float64)
        if not bool(logits.isfinite().all()):
            raise DivergedError("the model's logits are not finite", fix="use an earlier checkpoint")
        penalty, window = self.sampling.repetition_penalty, self.sampling.repetition_window
        if penalty == 1 or not text:
            return logits
        seen = set(text[-window:]) - {self._exempt}
        return penalised(logits, torch.tensor(sorted(seen), dtype=torch.long), penalty)


def penalised(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Logits (V,) where those of the tokens `seen` (S,) are divided by the penalty if positive, else multiplied.

    CTRL (arXiv 1909.05858) divides in any case, which favours tokens with negative logits; this is transformers' form.
    """
    chosen = logits[seen]
    return logits.index_put((seen,), torch.where(chosen > 0, chosen / penalty, chosen * penalty))


def candidates(logits: Tensor, sampling: Sampling) -> Tensor:
    """Probabilities (V,) after temperature, zero outside top-k, top-p and min-p; they need not sum to 1."""
    if 0 < sampling.top_k < len(logits):
        ordered, tokens = logits.topk(sampling.top_k)
    else:
        ordered, tokens = logits.sort(descending=True, stable=True)
    # Taking the largest away first keeps a tiny temperature from making infinities.
    probabilities = ((ordered - ordered[0]) / sampling.temperature).softmax(dim=0)
    before = probabilities.cumsum(dim=0) - probabilities
    dropped = (before >= sampling.top_p) | (probabilities < sampling.min_p * probabilities[0])
    return torch.zeros_like(logits).scatter_(0, tokens, probabilities.masked_fill_(dropped, 0.0))
