"""One token after another, each from one reading of the model."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from nanocore.infer.request import Drawn
from nanocore.infer.sampler import Sampler
from nanocore.infer.window import Window


def plain(window: Window, sampler: Sampler, *, logprobs: bool) -> Iterator[Drawn]:
    """Tokens without end; each is read only when the next one is asked for."""
    while True:
        logits = window.logits()
        token = sampler.pick(logits, window.text)
        yield drawn(token, logits, logprobs)
        window.push(token)


def drawn(token: int, logits: Tensor, logprobs: bool) -> Drawn:
    """A token with its log-probability under logits (V,), if that is wanted."""
    return Drawn(token, float(logits.to(torch.float64).log_softmax(dim=0)[token]) if logprobs else 0.0)
