"""What one global batch is trained on: from hidden states to the scalar that goes backward, term by term.

Every term is divided by what it has of in the whole global batch, so that neither micro-batches nor processes change
it: the parts of a step simply add up. Plain cross-entropy over all targets is always reported apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from nanocore.config.schema import Config
from nanocore.data.batch import NO_LOSS, Batch
from nanocore.model.loop import Exits
from nanocore.model.router import take_balance_loss
from nanocore.model.transformer import Transformer
from nanocore.objective import token_filter
from nanocore.objective.cross_entropy import CrossEntropy, linear_cross_entropy
from nanocore.objective.exits import exit_terms
from nanocore.objective.micro_batch import MicroBatch
from nanocore.objective.multi_token import further_counts, further_loss, further_targets, weight_at
from nanocore.objective.regularisers import NAMES, Regularisers

Scorer = Callable[[MicroBatch], Tensor]  # a reference model's loss of each token, (b, T)


@dataclass
class Terms:
    """Of one micro-batch: `loss` goes backward; `sums` (3,) are cross-entropy, entropy, correct over all its targets.

    `parts` are other metrics by name, each already divided by what the global batch has of it.
    """

    loss: Tensor
    sums: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)


class Goal:
    """The terms of one step. `progress` is the share of the run that is done; `reference` scores tokens (Rho-1).

    In LoopLM's second stage the gate's loss is the only one, and the model's other parts learn nothing (`gate_alone`).
    """

    def __init__(
        self,
        core: Transformer,
        config: Config,
        batch: Batch,
        *,
        progress: float = 0.0,
        filtering: bool = False,
        reference: Scorer | None = None,
    ) -> None:
        self.core, self.config, self.reference = core, config, reference
        self.count = max(1, int((batch.targets >= 0).sum()))
        self.regularisers = Regularisers.of(config.objective)
        self.kept = token_filter.kept_counts(batch.targets, config.collider.keep) if filtering else None
        self.mtp_weight = weight_at(config.mtp.weight, config.mtp.final_weight, progress)
        self.gate_alone = config.loop.stage == "gate"
        self.mtp_counts = [] if self.gate_alone else further_counts(batch, config.mtp.horizon)

    def terms(self, hidden: Tensor | Exits, micro: MicroBatch) -> Terms:
        """From the model's hidden states (b, T, C), or those of every turn of a loop."""
        if self.core.kept_rows is not None:
            self.core.kept_rows.keep(None)
        if isinstance(hidden, Exits):
            terms, hidden = self._over_exits(hidden, micro), hidden.hidden[-1]
        elif self.kept is not None:
            terms, micro = self._filtered(hidden, micro, self.kept)
        else:
            terms = self._next_token(hidden, micro)
        if self.mtp_counts and self.mtp_weight:
            self._add_further(terms, hidden, micro)
        balance = take_balance_loss(self.core)
        if balance is not None and not self.gate_alone:
            terms.parts["loss/balance"] = balance.detach() / self.count
            terms.loss = terms.loss + balance * (self.config.moe.loss_weight / self.count)
        terms.parts["loss/total"] = terms.loss.detach()
        return terms

    def _next_token(self, hidden: Tensor, micro: MicroBatch) -> Terms:
        found = self._cross_entropy(hidden.flatten(0, 1), micro.targets.flatten())
        return Terms(found.total / self.count, _sums(found), self._added(found, self.count))

    def _cross_entropy(self, hidden: Tensor, targets: Tensor, weights: Tensor | None = None) -> CrossEntropy:
        return linear_cross_entropy(
            hidden, self.core.head_weight, targets, weights=weights, regularisers=self.regularisers
        )

    def _added(self, found: CrossEntropy, count: int) -> dict[str, Tensor]:
        on = zip(NAMES, found.extra, self.regularisers.weights, strict=True)
        return {f"loss/{name}": value / count for name, value, weight in on if weight}

    def _filtered(self, hidden: Tensor, micro: MicroBatch, counts: np.ndarray) -> tuple[Terms, MicroBatch]:
        """The loss of the kept tokens alone, and the micro-batch with the targets that are left."""
        flat, targets = hidden.flatten(0, 1), micro.targets
        with torch.no_grad():
            scored = linear_cross_entropy(flat, self.core.head_weight, targets.flatten())
        own = scored.per_token.view_as(targets)
        importance = own if self.reference is None else own - self.reference(micro)
        kept = token_filter.choose(importance, targets, torch.from_numpy(counts[micro.rows]).to(targets.device))
        if self.core.kept_rows is not None:
            without_loss = targets == NO_LOSS  # nothing of theirs was dropped
            self.core.kept_rows.keep(token_filter.union_with_further(kept, self.config.mtp.horizon) | without_loss)
        rows = kept.flatten().nonzero().squeeze(1)
        total = max(1, int(counts.sum()))
        found = self._cross_entropy(flat[rows], targets.flatten()[rows])
        parts = {**self._added(found, total), "loss/kept": found.sum / total}
        parts |= self._kept_facts(kept, importance, targets)
        left = replace(micro, targets=targets.masked_fill(~kept, NO_LOSS))
        return Terms(found.total / total, _sums(scored), parts), left

    def _kept_facts(self, kept: Tensor, importance: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Share of kept tokens, and quantiles of importance, averaged over sequences by their targets."""
        tenth, half, ninth = token_filter.importance_quantiles(importance, targets) / self.count
        fraction = kept.sum() / self.count
        return {
            "collider/kept_fraction": fraction,
            "collider/importance_p10": tenth,
            "collider/importance_p50": half,
            "collider/importance_p90": ninth,
        }

    def _over_exits(self, exits: Exits, micro: MicroBatch) -> Terms:
        """LoopLM: the expected loss over the turns; what is reported as cross-entropy is the last turn's."""
        states, gates = exits.hidden.flatten(1, 2), exits.gates.flatten(1)  # (R, N, C), (R, N)
        found = exit_terms(states, gates, micro.targets.flatten(), self.config.loop, self._cross_entropy)
        parts = {name: value / self.count for name, value in found.parts.items()}
        return Terms(found.total / self.count, _sums(found.last), parts | self._added(found.last, self.count))

    def _add_further(self, terms: Terms, hidden: Tensor, micro: MicroBatch) -> None:
        """Multi-token prediction: the heads' mean loss, of kept tokens where others are dropped."""
        steps = range(1, len(self.mtp_counts) + 1)
        targets = [further_targets(micro.targets, micro.documents, ahead) for ahead in steps]
        share = 1.0 if self.kept is None else self.kept.sum() / self.count
        counts = [count * share for count in self.mtp_counts]
        loss = further_loss(self.core, hidden, micro, targets, counts)
        terms.loss = terms.loss + self.mtp_weight * loss
        terms.parts["loss/mtp"] = loss.detach()


def _sums(found: CrossEntropy) -> Tensor:
    return torch.stack([found.sum.detach().double(), found.entropy_sum.double(), found.correct.double()])
