"""A cache for several texts of unequal lengths that are read side by side."""

from __future__ import annotations

import torch
from torch import Tensor

from nanocore.model.cache import Cache


class PaddedCache(Cache):
    """Each text is padded behind its own `lengths` (B,) tokens to the longest; nothing later ever sees the padding.

    While the padded texts are read, causality hides it: it stands behind every token of its text. Afterwards the mask
    does. New tokens then come one at a time for every text.
    """

    def __init__(self, lengths: Tensor, capacity: int) -> None:
        super().__init__(len(lengths), capacity)
        self._lengths, self._padded = lengths, int(lengths.max())

    def mask(self, tokens: int, device: torch.device) -> Tensor:
        """(B, 1, 1, length + 1): what the one new token of each text sees."""
        if tokens != 1:
            raise ValueError("padded texts go on one token at a time")
        slots = torch.arange(self.length + 1, device=device)
        padding = (slots >= self._lengths[:, None]) & (slots < self._padded)
        return ~padding[:, None, None, :]

    def positions(self) -> Tensor:
        """(B, 1): where the next token of each text stands in it."""
        return (self._lengths + self.length - self._padded)[:, None]

    def select(self, rows: list[int]) -> None:
        """Go on with these texts alone."""
        self.batch, self._lengths = len(rows), self._lengths[rows]
        self._kept = {place: (keys[rows], values[rows]) for place, (keys, values) in self._kept.items()}
