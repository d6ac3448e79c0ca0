"""Next-token cross-entropy straight from hidden states, without ever holding all logits.

Logits of a whole batch are the largest tensor of a small model (tokens x vocabulary). Here they exist for one chunk of
tokens at a time: the chunk's loss, its statistics and its gradients are taken while it is there, so the logits are
computed once. Backward then only scales the gradients that are already known (as Liger Kernel's fused linear
cross-entropy does, arXiv 2410.10989, section 3.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nanocore.data.batch import NO_LOSS
from nanocore.limits import LOGITS_BYTES
from nanocore.objective.regularisers import PLAIN, Regularisers


@dataclass(frozen=True)
class CrossEntropy:
    """Sums over the positions whose target is not -1; divide by `count` for means. Only `total` carries a gradient.

    Natural logarithms (nats). `total` is the weighted sum of all terms, `sum` the plain cross-entropy. `per_token` (N,)
    is 0 where there is no target; `correct` counts tokens whose target has the largest logit; `entropy_sum` adds the
    entropies of the predicted distributions; `extra` (3,) sums what smoothing, z-loss and entropy bonus add.
    """

    total: Tensor
    sum: Tensor
    count: Tensor
    per_token: Tensor
    entropy_sum: Tensor
    correct: Tensor
    extra: Tensor


def linear_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    *,
    chunk: int = 0,
    weights: Tensor | None = None,
    regularisers: Regularisers = PLAIN,
) -> CrossEntropy:
    """Cross-entropy of softmax(hidden W^T), hidden (N, C), weight (V, C), targets (N,) in 0..V-1 or -1.

    `chunk` tokens have logits at one time (0: as many as fit LOGITS_BYTES). The matmuls run in the dtype of `hidden`,
    or autocast's where that is on; softmax and sums in float32 (float64 for float64). `weights` (N,) multiply each
    token's part of `total` and may carry a gradient. Without gradients (evaluation) only the loss is computed.
    """
    device = hidden.device.type
    if torch.is_autocast_enabled(device):
        hidden = hidden.to(torch.get_autocast_dtype(device))
    chunk = chunk or max(1, LOGITS_BYTES[device] // (weight.shape[0] * 4))
    with torch.autocast(device, enabled=False):
        if torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad):
            parts = _Fused.apply(hidden, weight, targets, weights, chunk, regularisers)
        else:
            parts = _Pass(hidden, weight, targets, weights, regularisers).run(chunk)
    return CrossEntropy(*parts)


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        targets: Tensor,
        weights: Tensor | None,
        chunk: int,
        extra: Regularisers,
    ) -> tuple[Tensor, ...]:
        work = _Pass(hidden, weight, targets, weights, extra)
        work.d_hidden, work.d_weight = torch.empty_like(hidden), torch.zeros_like(weight)
        parts = work.run(chunk)
        d_weights = None if weights is None else work.per_token_total
        ctx.save_for_backward(work.d_hidden, work.d_weight, d_weights)
        ctx.mark_non_differentiable(*parts[1:])
        return parts

    @staticmethod
    @once_differentiable  # it hides the signature from type checkers
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        d_hidden, d_weight, d_weights = ctx.saved_tensors
        d_sum = gradients[0]
        by_weights = d_weights * d_sum if d_weights is not None and ctx.needs_input_grad[3] else None
        return d_hidden * d_sum.to(d_hidden.dtype), d_weight * d_sum.to(d_weight.dtype), None, by_weights, None, None


class _Pass:
    """One pass over the tokens; `d_hidden` and `d_weight`, where given, receive the gradients of `total`."""

    d_hidden: Tensor | None = None
    d_weight: Tensor | None = None

    def __init__(
        self, hidden: Tensor, weight: Tensor, targets: Tensor, weights: Tensor | None, regularisers: Regularisers
    ) -> None:
        self.hidden, self.head, self.targets, self.weights = hidden, weight.to(hidden.dtype), targets, weights
        self.regularisers = regularisers
        dtype = torch.promote_types(hidden.dtype, torch.float32)
        self.per_token = torch.empty(targets.shape, dtype=dtype, device=hidden.device)
        self.per_token_total = torch.empty_like(self.per_token) if regularisers.active else self.per_token
        self.entropy_sum, self.correct = self.per_token.new_zeros(()), targets.new_zeros(())
        self.extra = self.per_token.new_zeros(3)

    def run(self, chunk: int) -> tuple[Tensor, ...]:
        """The fields of CrossEntropy."""
        for start in range(0, len(self.targets), chunk):
            self._chunk(slice(start, start + chunk))
        weighted = self.per_token_total if self.weights is None else self.per_token_total * self.weights
        plain = self.per_token.sum()
        total = plain if weighted is self.per_token else weighted.sum()
        count = (self.targets != NO_LOSS).sum()
        return total, plain.clone(), count, self.per_token, self.entropy_sum, self.correct, self.extra

    def _chunk(self, rows: slice) -> None:
        targets, hidden = self.targets[rows], self.hidden[rows]
        valid = targets != NO_LOSS  # (n,)
        logits = hidden @ self.head.mT  # (n, V)
        log_p = torch.log_softmax(logits, dim=-1, dtype=self.per_token.dtype)
        p = log_p.exp()
        loss = -log_p.gather(1, targets.clamp(min=0)[:, None]).squeeze(1)
        entropy = -torch.linalg.vecdot(p, log_p)
        self.per_token[rows] = loss * valid
        self.entropy_sum += (entropy * valid).sum()
        self.correct += ((-loss >= log_p.amax(dim=-1)) & valid).sum()
        if self.regularisers.active:
            log_z = logits[:, 0].to(log_p.dtype) - log_p[:, 0]
            added = self.regularisers.terms(log_p, loss, entropy, log_z) * valid  # (3, n)
            self.extra += added.sum(1)
            self.per_token_total[rows] = loss * valid + added.sum(0)
            if self.d_hidden is not None:
                self._gradients(rows, valid, self.regularisers.d_logits(p, log_p, entropy, log_z, targets.clamp(min=0)))
        elif self.d_hidden is not None:
            self._gradients(rows, valid, _minus_target(p, targets.clamp(min=0)))  # in the memory of p

    def _gradients(self, rows: slice, valid: Tensor, d_logits: Tensor) -> None:
        """Add what the rows give to the gradients, from d_logits (n, V)."""
        assert self.d_hidden is not None and self.d_weight is not None
        d_logits = d_logits.to(self.head.dtype)
        share = valid if self.weights is None else valid * self.weights[rows].detach()
        kept = share[:, None].to(self.head.dtype)
        # Scaling the narrow (n, C) side leaves out positions without target, without a pass over the logits.
        self.d_hidden[rows] = (d_logits @ self.head) * kept
        self.d_weight += d_logits.mT @ (self.hidden[rows] * kept)


def _minus_target(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Gradient of the loss by the logits: softmax minus one-hot, in place."""
    return probabilities.scatter_add_(1, targets[:, None], probabilities.new_full((len(targets), 1), -1.0))
