"""Held-out cross-entropy and bits per byte on a fixed slice, and text samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch

from nanocore.data.heldout import HeldOut
from nanocore.data.tokenizer import Tokenizer
from nanocore.infer.generate import generate
from nanocore.infer.sampler import Sampling
from nanocore.model.transformer import Transformer
from nanocore.objective.cross_entropy import linear_cross_entropy
from nanocore.objective.micro_batch import micro_batches
from nanocore.train.distributed import World, sum_numbers
from nanocore.train.hardware import Machine


@torch.no_grad()
def evaluate(
    model: Transformer, heldout: HeldOut, machine: Machine, world: World, pulse: Callable[[], None]
) -> dict[str, float]:
    """Measures on the whole slice; `pulse` is called between batches so that the run shows life.

    Special tokens count neither as loss nor as bytes: bits per byte = CE * tokens / (ln 2 * bytes).
    """
    totals = [0.0, 0.0, 0.0]  # nats, correct, tokens
    for batch in heldout.batches:
        for micro in micro_batches(batch, rank=world.rank, world=world.size, accumulation=1, device=machine.device):
            with machine.autocast():
                hidden = model(micro.tokens, positions=micro.positions, documents=micro.documents)
                loss = linear_cross_entropy(hidden.flatten(0, 1), model.head_weight, micro.targets.flatten())
            for index, value in enumerate((loss.sum, loss.correct, loss.count)):
                totals[index] += float(value)
        pulse()
    nats, correct, tokens = sum_numbers(totals, world)
    ce = nats / tokens
    return {
        "eval/ce": ce,
        "eval/bits_per_byte": nats / math.log(2) / heldout.target_bytes,
        "eval/perplexity": math.exp(min(ce, 700.0)),
        "eval/accuracy": correct / tokens,
    }


def sample(model: Transformer, tokenizer: Tokenizer, prompt: str, tokens: int, seed: int) -> Iterator[str]:
    """Pieces of one text, temperature 0.8, the same seed at every step so that samples can be compared."""
    return generate(model, tokenizer, prompt, tokens=tokens, sampling=Sampling(temperature=0.8, top_k=50, seed=seed))
