"""Several texts at once: one reading of the model gives the next token of each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nanocore.data.tokenizer import Tokenizer
from nanocore.infer.padded_cache import PaddedCache
from nanocore.infer.plain import drawn
from nanocore.infer.request import Completion, Request
from nanocore.infer.sampler import Sampler
from nanocore.infer.transcript import Transcript
from nanocore.model.transformer import Transformer


def batched(
    model: Transformer, tokenizer: Tokenizer, prompts: Sequence[Sequence[int]], requests: Sequence[Request]
) -> list[Completion]:
    """Complete each prompt (token ids, at least one) as its request says, as if each were alone, up to rounding.

    The model may have no recurrent layer: its state would have read the padding.
    """
    room = model.config.model.context_length
    rows = [_Row(tokenizer, prompt, request, room) for prompt, request in zip(prompts, requests, strict=True)]
    active, reading = [row for row in rows if row.going], None
    while active:
        if reading is None:
            reading = _Reading(model, [row.window for row in active])
        for row, logits in zip(active, reading.logits, strict=True):
            row.take(logits)
        going = [index for index, row in enumerate(active) if row.going]
        active = [active[index] for index in going]
        if any(row.anew for row in active):
            reading = None
        elif active:
            reading.go_on(going, [row.window[-1] for row in active])
    return [
        row.transcript.completion(len(prompt), max(len(prompt) - room, 0))
        for row, prompt in zip(rows, prompts, strict=True)
    ]


class _Row:
    """One text, and the part of it that the model reads: `anew` when that began again with the newest token."""

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int], request: Request, room: int) -> None:
        self._text, self._room = list(prompt), room
        self.window, self.anew = self._text[-room:], False
        self.transcript, self._logprobs = Transcript(tokenizer, request), request.logprobs
        self._sampler = Sampler(request.sampling, exempt=tokenizer.bos)

    @property
    def going(self) -> bool:
        return self.transcript.finish is None

    def take(self, logits: Tensor) -> None:
        """Draw the next token from logits (V,). A full window begins anew with its newer half."""
        token = self._sampler.pick(logits, self._text)
        self.transcript.push(drawn(token, logits, self._logprobs))
        self._text.append(token)
        self.anew = len(self.window) == self._room
        self.window = [*self.window[-(self._room // 2) :], token] if self.anew else [*self.window, token]


class _Reading:
    """Windows read side by side; `logits` (B, V) follow the last token of each."""

    @torch.no_grad()
    def __init__(self, model: Transformer, windows: Sequence[Sequence[int]]) -> None:
        self._model, self._device = model, model.head_weight.device
        lengths = torch.tensor([len(window) for window in windows], device=self._device)
        longest, shortest = int(lengths.max()), int(lengths.min())
        tokens = [[*window, *[0] * (longest - len(window))] for window in windows]
        self._cache = PaddedCache(lengths, longest + model.config.model.context_length - shortest)
        hidden = model(torch.tensor(tokens, device=self._device), cache=self._cache)
        self.logits = model.logits(hidden[torch.arange(len(windows), device=self._device), lengths - 1])

    @torch.no_grad()
    def go_on(self, rows: list[int], tokens: list[int]) -> None:
        """Read one token more of each of these rows; the others are done."""
        if len(rows) < self._cache.batch:
            self._cache.select(rows)
        new = torch.tensor(tokens, device=self._device)[:, None]
        hidden = self._model(new, positions=self._cache.positions(), cache=self._cache)
        self.logits = self._model.logits(hidden[:, -1])
