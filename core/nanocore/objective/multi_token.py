"""Loss of the heads that predict further tokens, each against the same text moved by its distance.

The mean over the heads, as arXiv 2404.19737 and DeepSeek-V3 (arXiv 2412.19437, equations 24 and 25) have it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from nanocore.data.batch import Batch
from nanocore.model.transformer import Transformer
from nanocore.objective.cross_entropy import IGNORE, linear_cross_entropy
from nanocore.objective.eager import eager_sum
from nanocore.objective.micro_batch import MicroBatch


def further_targets(targets: Tensor, documents: Tensor | None, ahead: int) -> Tensor:
    """Targets (B, T) of the head `ahead` places beyond the next token; -1 where that token has no loss.

    A position predicts only tokens that continue its own document: `documents` (B, T) numbers those of a row, None is
    one. The row's last `ahead` positions know no such token.
    """
    shifted = torch.full_like(targets, IGNORE)
    shifted[:, :-ahead] = targets[:, ahead:]
    if documents is not None:
        same = documents[:, ahead:] == documents[:, :-ahead]
        shifted[:, :-ahead].masked_fill_(~same, IGNORE)
    return shifted


def further_counts(batch: Batch, horizon: int) -> list[int]:
    """How many targets each head has in the global batch."""
    targets, documents = torch.from_numpy(batch.targets), torch.from_numpy(batch.documents)
    return [int((further_targets(targets, documents, ahead) >= 0).sum()) for ahead in range(1, horizon + 1)]


def weight_at(start: float, end: float, progress: float) -> float:
    """The heads' weight at `progress` (0..1) of the run, on the straight line between the two."""
    return start + (end - start) * min(max(progress, 0.0), 1.0)


def further_loss(
    core: Transformer, hidden: Tensor, micro: MicroBatch, targets: list[Tensor], counts: Sequence[float]
) -> Tensor:
    """Mean over heads of their cross-entropy: this micro-batch's share, where head k has `counts[k]` targets in all.

    `hidden` (b, T, C) is the trunk's. Gradients are computed at once, head by head, so that the logits and inner states
    of one head exist at a time: memory O(V + C) a token, not O(horizon V).
    """
    heads = core.prediction_heads
    assert heads is not None
    shares = [1.0 / (len(counts) * max(count, 1.0)) for count in counts]

    def one(index: int, state: Tensor) -> Tensor:
        loss = linear_cross_entropy(state.flatten(0, 1), core.head_weight, targets[index].flatten())
        return loss.total * shares[index]

    def independent(index: int, leaf: Tensor) -> Tensor:
        return one(index, heads.independent(index, leaf))

    def chain(leaf: Tensor) -> Tensor:
        states = heads.chain(
            leaf, micro.tokens, core.embedding, core.context(micro.tokens, micro.positions, micro.documents)
        )
        return torch.stack([one(index, state) for index, state in enumerate(states)]).sum()

    losses: list[Callable[[Tensor], Tensor]] = (
        [chain] if heads.sequential else [partial(independent, index) for index in range(len(counts))]
    )
    parameters = [*heads.parameters(), core.head_weight]
    if heads.sequential and core.head_weight is not core.embedding.weight:
        parameters.append(core.embedding.weight)
    return eager_sum(losses, hidden, parameters)
