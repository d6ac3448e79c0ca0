"""What layers keep of the tokens already read, while text is generated."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nanocore.model.room import room


class Recurrence(NamedTuple):
    """What a DeltaNet layer keeps: its memory (batch, heads, K, V), and the convolution's last inputs."""

    memory: Tensor
    inputs: Tensor


class Cache:
    """Room for `capacity` tokens of `batch` sequences of one length, for every layer.

    `length` tokens are kept. An attention layer's tensors (batch, kv_heads, positions, head_dim) are allocated when the
    first tokens arrive, in their dtype and on their device, and grow with what is read up to `capacity` positions; a
    recurrent layer's state has one size at all lengths.
    A layer that runs several times keeps each run apart: `turn` is the present one. Where `gone` (batch, T) is True, a
    new token has left the loop, and its keys and values of the turn before stand for those of this one.
    """

    def __init__(self, batch: int, capacity: int) -> None:
        self.batch, self.capacity, self.length = batch, capacity, 0
        self.turn = 0
        self.gone: Tensor | None = None
        self._kept: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}  # by turn and layer
        self._recurrences: dict[tuple[int, int], Recurrence] = {}
        self._coming: dict[tuple[int, int], Recurrence] = {}

    def enter(self, turn: int, gone: Tensor | None = None) -> None:
        """The layers that come next run for the `turn`-th time, from 0; see the class for `gone`."""
        self.turn, self.gone = turn, gone

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Keep new keys and values (batch, kv_heads, T, head_dim) of a layer; returns all kept ones, new ones last.

        The tokens count once `advance` is called, after all layers. Raises ValueError when they do not fit.
        """
        end = self._end(keys.shape[0], keys.shape[2])
        kept = self._room((self.turn, layer), keys, values, end)
        for buffer, new in zip(kept, (keys, values), strict=True):
            buffer[:, :, self.length : end] = new
        if self.gone is not None:
            self._stand_in(layer, self.gone[:, None, :, None], kept, end)
        return kept[0][:, :, :end], kept[1][:, :, :end]

    def _room(self, place: tuple[int, int], keys: Tensor, values: Tensor, end: int) -> tuple[Tensor, Tensor]:
        """Buffers for `end` positions of a turn and layer, shaped as `keys` and `values` but for their positions."""
        kept = self._kept.get(place)
        if kept is None or kept[0].shape[2] < end:
            shape = (*keys.shape[:2], room(end, self.capacity), keys.shape[3])
            made = (keys.new_empty(shape), values.new_empty(shape))
            for buffer, before in zip(made, kept or (), strict=False):
                buffer[:, :, : self.length] = before[:, :, : self.length]
            self._kept[place] = kept = made
        return kept

    def _stand_in(self, layer: int, gone: Tensor, kept: tuple[Tensor, Tensor], end: int) -> None:
        for buffer, before in zip(kept, self._kept[self.turn - 1, layer], strict=True):
            new = slice(self.length, end)
            buffer[:, :, new] = torch.where(gone, before[:, :, new], buffer[:, :, new])

    def repeat(self, turn: int, turns: int, layers: range, tokens: int) -> None:
        """All new tokens have left after `turn`: what its `layers` kept of them stands for the rest of `turns` turns."""
        new = slice(self.length, self.length + tokens)
        for layer in layers:
            kept = self._kept.get((turn, layer))
            if kept is None:  # a recurrent layer
                continue
            for later in range(turn + 1, turns):
                for buffer, before in zip(self._room((later, layer), *kept, new.stop), kept, strict=True):
                    buffer[:, :, new] = before[:, :, new]

    def recurrence(self, layer: int) -> Recurrence | None:
        """The state of a recurrent layer after the tokens that count; None before the first."""
        return self._recurrences.get((self.turn, layer))

    def keep(self, layer: int, tokens: int, recurrence: Recurrence) -> None:
        """Keep a recurrent layer's state after `tokens` more; it holds from `advance` on. Raises ValueError as `append`."""
        self._end(recurrence.memory.shape[0], tokens)
        self._coming[self.turn, layer] = recurrence

    def advance(self, tokens: int) -> None:
        """Count `tokens` more as kept."""
        self.length += tokens
        self._recurrences.update(self._coming)
        self._coming.clear()

    def truncate(self, length: int) -> None:
        """Forget all tokens after the first `length`. Raises ValueError if a recurrent layer would have to go back."""
        if length >= self.length:
            return
        if length and self._recurrences:
            raise ValueError("a recurrent state cannot go back to fewer tokens; only to none")
        self.length = length
        self._recurrences.clear()

    def mask(self, tokens: int, device: torch.device) -> Tensor | None:
        """Which kept and new tokens each of `tokens` new ones sees: (tokens, length + tokens); None for one: all."""
        if tokens == 1:
            return None
        seen = torch.ones(tokens, self.length + tokens, dtype=torch.bool, device=device)
        return seen.tril(self.length)

    def _end(self, batch: int, tokens: int) -> int:
        end = self.length + tokens
        if end > self.capacity or batch != self.batch:
            raise ValueError(f"{batch} x {end} tokens do not fit a cache of {self.batch} x {self.capacity}")
        return end
