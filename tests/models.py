"""Models of a few thousand parameters for tests of the network and what reads it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nanocore.config.schema import Config
from nanocore.model.transformer import Transformer

VOCABULARY = 61


def model_config(
    *, streams: int = 1, dynamic: bool = False, kind: str = "lite", init: str = "identity", **model: Any
) -> Config:
    shape = {"d_model": 32, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "d_ff": 48, "context_length": 24}
    mhc = {"streams": streams, "dynamic": dynamic, "kind": kind, "init": init}
    return Config.model_validate({"model": {**shape, **model}, "mhc": mhc})


def make_model(*, vocabulary: int = VOCABULARY, seed: int = 0, **keys: Any) -> Transformer:
    model = Transformer(model_config(**keys), vocabulary)
    model.initialise(seed)
    return model


def random_tokens(batch: int, length: int, vocabulary: int = VOCABULARY, seed: int = 0) -> Tensor:
    return torch.randint(0, vocabulary, (batch, length), generator=torch.Generator().manual_seed(seed))


def next_token_loss(model: Transformer, tokens: Tensor, **arguments: Any) -> Tensor:
    """Mean cross-entropy of each token after the first, in nats."""
    logits = model.logits(model(tokens[:, :-1], **arguments))
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


@torch.no_grad()
def descend(model: Transformer, rate: float) -> None:
    """One step of sign descent: each value moves by `rate` (an optimizer of torch would cost seconds to import)."""
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.sub_(parameter.grad.sign(), alpha=rate)


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Largest difference over the largest expected value."""
    return float((found.detach() - expected.detach()).abs().max() / expected.detach().abs().max())
