"""Check: tied embedding and head are one matrix wherever they appear."""

from __future__ import annotations

import torch

from nanocore.model.transformer import Transformer
from nanocore.validation.compare import error
from nanocore.validation.outcome import Found, expect, within
from nanocore.validation.steps import train_steps
from nanocore.validation.tiny import random_tokens, tiny_model
from nanocore.validation.workshop import Workshop


def check(_: Workshop) -> Found:
    model = tiny_model(1)
    one = model.head_weight.data_ptr() == model.embedding.weight.data_ptr()
    expect(one, "the head has a memory of its own", "the embedding's")
    names = [name for name in model.state_dict() if name.startswith(("head", "embedding"))]
    expect(names == ["embedding.weight"], f"saved: {', '.join(names)}", "embedding.weight alone")
    _learns_from_both(model)
    trace = train_steps(count=2)
    hidden = torch.randn((1, 3, 32), generator=torch.Generator().manual_seed(1))
    logits = hidden @ trace.core.embedding.weight.mT
    worst = within("logits after two steps, error", error(trace.core.logits(hidden), logits), 1e-6)
    apart = tiny_model(1, "model.tie_embeddings=false")
    other = apart.head_weight.data_ptr() != apart.embedding.weight.data_ptr()
    expect(other and "head.weight" in apart.state_dict(), "untied, still one matrix", "two matrices")
    return Found(f"1 matrix tied, 2 untied, logit error {worst:.1e}", "also after training, and in what is saved")


def _learns_from_both(model: Transformer) -> None:
    """Tokens that are read and never predicted have a gradient, and so have those that are predicted and never read."""
    model.train()
    read = random_tokens(1, 6, words=10)
    model.logits(model(read))[..., 20:25].sum().backward()
    gradient = model.embedding.weight.grad
    expect(gradient is not None, "the embedding has no gradient", "that of both uses")
    assert gradient is not None
    reading, predicting = gradient[read.flatten()].abs().max(), gradient[20:25].abs().max()
    expect(float(reading) > 0, "no gradient for tokens that are read", "one")
    expect(float(predicting) > 0, "no gradient for tokens that are predicted", "one")
