"""Check: a poisoned batch never reaches the weights or the optimizer's state, and training goes on after it."""

from __future__ import annotations

import math

import torch

from nanocore.validation.compare import differing
from nanocore.validation.outcome import Found, expect
from nanocore.validation.steps import BOS, Trace, one_step, random_batch, train_steps
from nanocore.validation.workshop import Workshop


def check(_: Workshop) -> Found:
    for value in (math.inf, math.nan):
        trace = train_steps(count=2)
        _poisoned(trace, value)
    return Found(
        "2 of 2 poisoned batches refused",
        "an embedding that is not finite, read in one batch: no bit of weights or optimizer state moves; the next batch does",
    )


@torch.no_grad()
def _poisoned(trace: Trace, value: float) -> None:
    word = trace.core.embedding.weight[BOS]
    good = word.clone()
    word.fill_(value)
    before = trace.tensors()
    with torch.enable_grad():
        result = one_step(trace, random_batch(trace.core.config, 7), 2)
    told = f"loss {result.ce}, gradient norm {result.grad_norm}"
    expect(not result.finite and not result.applied, f"{value} in a batch: applied with {told}", "refused")
    moved = [name for name in differing(before, trace.tensors()) if name != "embedding.weight"]
    expect(not moved, f"{value} in a batch moved {moved[:1]}", "every bit as before")
    word.copy_(good)
    with torch.enable_grad():
        result = one_step(trace, random_batch(trace.core.config, 7), 2)
    expect(result.applied and result.finite, f"the same batch, healed, is refused: {told}", "applied")
