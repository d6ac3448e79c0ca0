"""Text from a model that may go on learning afterwards, piece by piece."""

from __future__ import annotations

from collections.abc import Generator

from nanocore.data.tokenizer import Tokenizer
from nanocore.infer.engine import Engine
from nanocore.infer.request import Request
from nanocore.infer.sampler import Sampling
from nanocore.model.bitlinear import frozen
from nanocore.model.transformer import Transformer


def generate(
    model: Transformer, tokenizer: Tokenizer, prompt: str, *, tokens: int, sampling: Sampling
) -> Generator[str]:
    """Yield the text after `prompt` as it is drawn, at most `tokens` tokens; see `Engine.generate`.

    The weights must not change before the last piece is taken.
    """
    with frozen(model):
        yield from Engine(model, tokenizer).generate(prompt, Request(tokens, sampling))
