"""Held-out cross-entropy and bits per byte on a fixed slice, and text samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable

import torch
from torch import Tensor

from nanocore.data.heldout import HeldOut
from nanocore.data.tokenizer import Tokenizer
from nanocore.infer.generate import generate
from nanocore.infer.sampler import Sampling
from nanocore.model.transformer import Transformer
from nanocore.objective.cross_entropy import CrossEntropy, linear_cross_entropy
from nanocore.objective.micro_batch import MicroBatch, micro_batches
from nanocore.train.distributed import World, sum_numbers
from nanocore.train.hardware import Machine


@torch.no_grad()
def evaluate(
    model: Transformer, heldout: HeldOut, machine: Machine, world: World, pulse: Callable[[], None]
) -> dict[str, float]:
    """Measures on the whole slice; `pulse` is called between batches so that the run shows life.

    Special tokens count neither as loss nor as bytes: bits per byte = CE * tokens / (ln 2 * bytes). Of a looped model
    they are the last turn's; `eval/ce_turn/k` is the cross-entropy of leaving after turn k, for every turn.
    """
    turns = model.config.loop.count
    totals = [0.0] * (turns + 2)  # nats of every turn, correct of the last, tokens
    for batch in heldout.batches:
        for micro in micro_batches(batch, rank=world.rank, world=world.size, accumulation=1, device=machine.device):
            with machine.autocast():
                found = [_loss(hidden, model, micro) for hidden in _states(model, micro)]
            for index, value in enumerate((*(each.sum for each in found), found[-1].correct, found[-1].count)):
                totals[index] += float(value)
        pulse()
    *nats, correct, tokens = sum_numbers(totals, world)
    ce = nats[-1] / tokens
    return {
        "eval/ce": ce,
        "eval/bits_per_byte": nats[-1] / math.log(2) / heldout.target_bytes,
        "eval/perplexity": math.exp(min(ce, 700.0)),
        "eval/accuracy": correct / tokens,
        **({f"eval/ce_turn/{turn}": each / tokens for turn, each in enumerate(nats, 1)} if turns > 1 else {}),
    }


def _states(model: Transformer, micro: MicroBatch) -> Iterable[Tensor]:
    """Hidden states (B, T, C) to be read by the head: one, or of every turn of a loop."""
    if model.exit_gate is not None:
        return model.exits(micro.tokens, positions=micro.positions, documents=micro.documents).hidden
    return [model(micro.tokens, positions=micro.positions, documents=micro.documents)]


def _loss(hidden: Tensor, model: Transformer, micro: MicroBatch) -> CrossEntropy:
    return linear_cross_entropy(hidden.flatten(0, 1), model.head_weight, micro.targets.flatten())


def sample(model: Transformer, tokenizer: Tokenizer, prompt: str, tokens: int, seed: int) -> Generator[str]:
    """Pieces of one text, temperature 0.8, the same seed at every step so that samples can be compared."""
    return generate(model, tokenizer, prompt, tokens=tokens, sampling=Sampling(temperature=0.8, top_k=50, seed=seed))
