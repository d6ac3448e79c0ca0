"""Drafts of the next tokens by the model's own prediction heads; see nanocore.model.prediction_heads for the formulas.

After the model has read x_0..x_t and x_{t+1} was drawn, head k guesses x_{t+1+k}. An independent head knows the hidden
state h_t alone; a sequential module also reads x_{t+1} and the drafts before, with a cache of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nanocore.infer.sampler import Sampler
from nanocore.model.cache import Cache
from nanocore.model.prediction_heads import PredictionHeads
from nanocore.model.transformer import Transformer


class Drafts(NamedTuple):
    """K tokens, and the probabilities (V,) that each was drawn with."""

    tokens: list[int]
    probabilities: list[Tensor]


class Drafter:
    """Follows what the model reads, by `take`, and drafts what comes after it.

    `reads_all`: it needs the hidden states of every position, not only of the last.
    """

    reads_all = False

    def __init__(self, model: Transformer, heads: PredictionHeads) -> None:
        self._model, self._heads = model, heads

    @property
    def horizon(self) -> int:
        """The most tokens it can draft."""
        return len(self._heads.heads)

    def take(self, hidden: Tensor, end: int, held: int) -> None:
        """Hidden states (T, C) of the T positions before `end`, of which those before `held` stand."""
        raise NotImplementedError

    def draft(self, window: Sequence[int], text: Sequence[int], sampler: Sampler, count: int) -> Drafts:
        """At most `count` tokens after the window, whose last token alone was not read; `text` is all before them."""
        raise NotImplementedError

    def _add(self, drafts: Drafts, hidden: Tensor, text: Sequence[int], sampler: Sampler) -> None:
        """Draw one more draft from a head's hidden state (C,)."""
        probabilities = sampler.distribution(self._model.logits(hidden), [*text, *drafts.tokens])
        drafts.probabilities.append(probabilities)
        drafts.tokens.append(sampler.draw(probabilities))


class IndependentDrafter(Drafter):
    """Every head reads the last hidden state."""

    _last: Tensor | None = None  # (1, C)

    def take(self, hidden: Tensor, end: int, held: int) -> None:
        self._last = hidden[len(hidden) - 1 - (end - held), None]

    @torch.no_grad()
    def draft(self, window: Sequence[int], text: Sequence[int], sampler: Sampler, count: int) -> Drafts:
        drafts = Drafts([], [])
        for head in range(min(count, self.horizon) if self._last is not None else 0):
            assert self._last is not None
            self._add(drafts, self._heads.independent(head, self._last)[0], text, sampler)
        return drafts


class SequentialDrafter(Drafter):
    """Module k reads at position i the state of module k - 1 (the model's for k = 1) and token x_{i+k}.

    `_states[k]` (1, n, C) and the cache of module k go up to the last position that was read with true tokens.
    """

    reads_all = True

    def __init__(self, model: Transformer, heads: PredictionHeads) -> None:
        super().__init__(model, heads)
        self._room = model.config.model.context_length
        self._forget()

    def _forget(self) -> None:
        self._caches = [Cache(1, self._room) for _ in range(self.horizon)]
        self._states: list[Tensor | None] = [None] * (self.horizon + 1)

    def take(self, hidden: Tensor, end: int, held: int) -> None:
        if len(hidden) == end:  # the window began anew
            self._forget()
        self._states[0] = _joined(self._states[0], hidden[None, : len(hidden) - (end - held)])

    @torch.no_grad()
    def draft(self, window: Sequence[int], text: Sequence[int], sampler: Sampler, count: int) -> Drafts:
        drafts, below = Drafts([], []), self._states[0]
        for ahead in range(1, min(count, self.horizon) + 1 if below is not None else 1):
            assert below is not None
            below = self._extend(ahead, below, [*window, *drafts.tokens])
            self._add(drafts, below[0, -1], text, sampler)
        for ahead in range(1, self.horizon + 1):
            self._keep(ahead, len(window) - ahead)
        return drafts

    def _extend(self, ahead: int, below: Tensor, tokens: Sequence[int]) -> Tensor:
        """States (1, n, C) of module `ahead` at every position of `below` (1, n, C), from those it has on."""
        cache = self._caches[ahead - 1]
        new = slice(cache.length, below.shape[1])
        read = torch.tensor([tokens[new.start + ahead : new.stop + ahead]], device=below.device)
        context = self._model.context(read, None, None, cache)
        states = self._heads.heads[ahead - 1](below[:, new], self._model.embedding(read), context)
        cache.advance(read.shape[1])
        self._states[ahead] = joined = _joined(self._states[ahead], states)
        return joined

    def _keep(self, ahead: int, length: int) -> None:
        """Forget what module `ahead` made of drafts: the true tokens are known for `length` positions."""
        self._caches[ahead - 1].truncate(max(length, 0))
        states = self._states[ahead]
        self._states[ahead] = states[:, : max(length, 0)] if states is not None else None


def make_drafter(model: Transformer) -> Drafter | None:
    """The drafter of a model's prediction heads, None for a model without."""
    heads = model.prediction_heads
    if heads is None:
        return None
    return (SequentialDrafter if heads.sequential else IndependentDrafter)(model, heads)


def _joined(first: Tensor | None, second: Tensor) -> Tensor:
    return second if first is None else torch.cat((first, second), dim=1)
