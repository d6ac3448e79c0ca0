"""The models that checks compute with."""

from __future__ import annotations

import torch
from torch import Tensor

from nanocore.data.tokenizer import ByteTokenizer
from nanocore.model.transformer import Transformer
from nanocore.validation.tables import small_config

BYTES = ByteTokenizer()
WORDS = 41  # of random text, whose last one begins a document


def tiny_model(seed: int, *sets: str, words: int = BYTES.vocab_size) -> Transformer:
    """A model with grouped-query attention and two residual streams, its weights drawn from `seed`."""
    model = Transformer(small_config(*sets), words)
    model.initialise(seed)
    return model.eval()


def random_tokens(rows: int, length: int, seed: int = 0, words: int = WORDS) -> Tensor:
    """(rows, length), each below `words`."""
    return torch.randint(0, words, (rows, length), generator=torch.Generator().manual_seed(seed))
