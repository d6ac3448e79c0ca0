"""Loss of the heads that predict further tokens, each against the same text moved by its distance.

The mean over the heads, as arXiv 2404.19737 and DeepSeek-V3 (arXiv 2412.19437, equations 24 and 25) have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from nanocore.data.batch import NO_LOSS, Batch
from nanocore.model.transformer import Transformer
from nanocore.objective.cross_entropy import linear_cross_entropy
from nanocore.objective.eager import eager_chain, eager_sum
from nanocore.objective.micro_batch import MicroBatch


def further_targets(targets: Tensor, documents: Tensor | None, ahead: int) -> Tensor:
    """Targets (B, T) of the head `ahead` places beyond the next token; -1 where that token has no loss.

    A position predicts only tokens that continue its own document: `documents` (B, T) numbers those of a row, None is
    one. The row's last `ahead` positions know no such token.
    """
    shifted = torch.full_like(targets, NO_LOSS)
    shifted[:, :-ahead] = targets[:, ahead:]
    if documents is not None:
        same = documents[:, ahead:] == documents[:, :-ahead]
        shifted[:, :-ahead].masked_fill_(~same, NO_LOSS)
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

    `hidden` (b, T, C) is the trunk's. Gradients are computed at once, so that the logits of one head and its gradient
    of the unembedding (V, C) exist at a time. Of independent heads that is true of the inner states too; sequential
    modules, each of which reads the one before, have theirs together.
    """
    heads = core.prediction_heads
    assert heads is not None
    shares = [1.0 / (len(counts) * max(count, 1.0)) for count in counts]
    parameters, places = [*heads.parameters(), core.head_weight], range(len(counts))

    def loss(index: int, state: Tensor) -> Tensor:
        found = linear_cross_entropy(state.flatten(0, 1), core.head_weight, targets[index].flatten())
        return found.total * shares[index]

    def of_head(index: int, leaf: Tensor) -> Tensor:
        return loss(index, heads.independent(index, leaf))

    if not heads.sequential:
        return eager_sum([partial(of_head, index) for index in places], hidden, parameters)
    if core.head_weight is not core.embedding.weight:
        parameters.append(core.embedding.weight)
    context = core.context(micro.tokens, micro.positions, micro.documents)
    links = [partial(heads.link, index, micro.tokens, core.embedding, context) for index in places]
    return eager_chain(links, [partial(loss, index) for index in places], hidden, parameters)
