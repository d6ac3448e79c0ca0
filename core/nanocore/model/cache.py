"""Keys and values of the tokens already read, kept while text is generated."""

from __future__ import annotations

import torch
from torch import Tensor


class Cache:
    """Room for `capacity` tokens of `batch` sequences of one length, for every layer.

    `length` tokens are kept. Each layer's tensors (batch, kv_heads, capacity, head_dim) are allocated when the first
    tokens arrive, in their dtype and on their device.
    """

    def __init__(self, layers: int, batch: int, capacity: int) -> None:
        self.batch, self.capacity, self.length = batch, capacity, 0
        self._layers: list[tuple[Tensor, Tensor] | None] = [None] * layers

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Keep new keys and values (batch, kv_heads, T, head_dim) of a layer; returns all kept ones, new ones last.

        The tokens count once `advance` is called, after all layers. Raises ValueError when they do not fit.
        """
        end = self.length + keys.shape[2]
        if end > self.capacity or keys.shape[0] != self.batch:
            raise ValueError(f"{keys.shape[0]} x {end} tokens do not fit a cache of {self.batch} x {self.capacity}")
        kept = self._layers[layer]
        if kept is None:
            shape = (*keys.shape[:2], self.capacity, keys.shape[3])
            kept = self._layers[layer] = (keys.new_empty(shape), values.new_empty(shape))
        for buffer, new in zip(kept, (keys, values), strict=True):
            buffer[:, :, self.length : end] = new
        return kept[0][:, :, :end], kept[1][:, :, :end]

    def advance(self, tokens: int) -> None:
        """Count `tokens` more as kept."""
        self.length += tokens

    def truncate(self, length: int) -> None:
        """Forget all tokens after the first `length`."""
        self.length = min(self.length, length)

    def mask(self, tokens: int, device: torch.device) -> Tensor | None:
        """Which kept and new tokens each of `tokens` new ones sees: (tokens, length + tokens); None for one: all."""
        if tokens == 1:
            return None
        seen = torch.ones(tokens, self.length + tokens, dtype=torch.bool, device=device)
        return seen.tril(self.length)
