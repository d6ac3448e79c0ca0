"""Text from a model, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from nanocore.data.tokenizer import StreamDecoder, Tokenizer
from nanocore.infer.sampler import Sampler, Sampling
from nanocore.model.bitlinear import frozen
from nanocore.model.transformer import Transformer


def generate(
    model: Transformer, tokenizer: Tokenizer, prompt: str, *, tokens: int, sampling: Sampling
) -> Iterator[str]:
    """Yield the text after `prompt` as it is drawn, at most `tokens` tokens; whole characters only.

    The model reads BOS and the prompt, or their last `context_length` tokens when they are longer. It ends early when
    the model draws BOS, the border to another document. When the context is full, its newer half is read again as a new
    context, and generation goes on from there. The weights must not change before the last piece is taken.
    """
    decoder, sampler = StreamDecoder(tokenizer), Sampler(sampling)
    reader = _Reader(model, [tokenizer.bos, *tokenizer.encode(prompt).tolist()])
    with frozen(model):
        for _ in range(tokens):
            token = sampler.pick(reader.logits())
            if token == tokenizer.bos:
                break
            reader.push(token)
            if text := decoder.push(token):
                yield text
    if text := decoder.finish():
        yield text


class _Reader:
    """The text so far, and what of it the model's cache holds."""

    def __init__(self, model: Transformer, tokens: list[int]) -> None:
        self._model, self._room = model, model.config.model.context_length
        self._window, self._read = tokens[-self._room :], 0
        self._cache = model.new_cache(1, self._room)

    def push(self, token: int) -> None:
        """Add a token; a full context begins anew with its newer half."""
        if len(self._window) == self._room:
            self._window, self._read = self._window[-(self._room // 2) :], 0
            self._cache.truncate(0)
        self._window.append(token)

    @torch.no_grad()
    def logits(self) -> Tensor:
        """Logits (V,) of the token after the text; reads what the cache does not hold yet."""
        new = torch.tensor([self._window[self._read :]], device=self._model.head_weight.device)
        self._read = len(self._window)
        return self._model.logits(self._model(new, cache=self._cache)[0, -1])
