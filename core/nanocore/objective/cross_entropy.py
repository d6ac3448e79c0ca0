"""Next-token cross-entropy straight from hidden states, without ever holding all logits.

Logits of a whole batch are the largest tensor of a small model (tokens x vocabulary). Here they exist for one chunk of
tokens at a time: the chunk's loss, its statistics and its gradients are taken while it is there, so the logits are
computed once. Backward then only scales the gradients that are already known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nanocore.limits import LOGITS_BYTES

IGNORE = -1  # target of a position without loss


@dataclass(frozen=True)
class CrossEntropy:
    """Sums over the positions whose target is not -1; divide by `count` for means. Only `sum` carries a gradient.

    Natural logarithms (nats). `per_token` (N,) is 0 where there is no target; `correct` counts tokens whose target has
    the largest logit; `entropy_sum` adds the entropies of the predicted distributions.
    """

    sum: Tensor
    count: Tensor
    per_token: Tensor
    entropy_sum: Tensor
    correct: Tensor


def linear_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor, *, chunk: int = 0) -> CrossEntropy:
    """Cross-entropy of softmax(hidden W^T), hidden (N, C), weight (V, C), targets (N,) in 0..V-1 or -1.

    `chunk` tokens have logits at one time (0: as many as fit LOGITS_BYTES). The matmuls run in the dtype of `hidden`,
    or autocast's where that is on; softmax and sums in float32 (float64 for float64). Without gradients (evaluation)
    only the loss is computed.
    """
    device = hidden.device.type
    if torch.is_autocast_enabled(device):
        hidden = hidden.to(torch.get_autocast_dtype(device))
    chunk = chunk or max(1, LOGITS_BYTES[device] // (weight.shape[0] * 4))
    with torch.autocast(device, enabled=False):
        if torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad):
            parts = _Fused.apply(hidden, weight, targets, chunk)
        else:
            parts = _run(hidden, weight, targets, chunk, None, None)
    return CrossEntropy(*parts)


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, chunk: int) -> tuple[Tensor, ...]:
        d_hidden, d_weight = torch.empty_like(hidden), torch.zeros_like(weight)
        parts = _run(hidden, weight, targets, chunk, d_hidden, d_weight)
        ctx.save_for_backward(d_hidden, d_weight)
        ctx.mark_non_differentiable(*parts[1:])
        return parts

    @staticmethod
    @once_differentiable  # it hides the signature from type checkers
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        d_hidden, d_weight = ctx.saved_tensors
        d_sum = gradients[0]
        return d_hidden * d_sum.to(d_hidden.dtype), d_weight * d_sum.to(d_weight.dtype), None, None


def _run(
    hidden: Tensor, weight: Tensor, targets: Tensor, chunk: int, d_hidden: Tensor | None, d_weight: Tensor | None
) -> tuple[Tensor, ...]:
    """The fields of CrossEntropy, and the gradients of `sum` written into the buffers that are given."""
    head = weight.to(hidden.dtype)
    per_token = torch.empty(targets.shape, dtype=_softmax_dtype(hidden), device=hidden.device)
    entropy_sum, correct = per_token.new_zeros(()), targets.new_zeros(())
    for start in range(0, len(targets), chunk):
        rows = slice(start, start + chunk)
        valid = targets[rows] != IGNORE  # (n,)
        probabilities, loss, entropy, hit = _statistics(hidden[rows] @ head.mT, targets[rows].clamp(min=0))
        per_token[rows] = loss * valid
        entropy_sum += (entropy * valid).sum()
        correct += (hit & valid).sum()
        if d_hidden is not None and d_weight is not None:
            kept = valid[:, None].to(hidden.dtype)
            d_logits = _minus_target(probabilities, targets[rows].clamp(min=0)).to(hidden.dtype)  # (n, V)
            # Masking the narrow (n, C) side leaves out positions without target, without a pass over the logits.
            d_hidden[rows] = (d_logits @ head) * kept
            d_weight += d_logits.mT @ (hidden[rows] * kept)
    return per_token.sum(), (targets != IGNORE).sum(), per_token, entropy_sum, correct


def _softmax_dtype(hidden: Tensor) -> torch.dtype:
    return torch.promote_types(hidden.dtype, torch.float32)


def _statistics(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Probabilities (n, V), and of each row: loss, entropy, and whether the target has the largest logit."""
    log_p = torch.log_softmax(logits, dim=-1, dtype=_softmax_dtype(logits))
    p = log_p.exp()
    loss = -log_p.gather(1, targets[:, None]).squeeze(1)
    entropy = -torch.linalg.vecdot(p, log_p)
    return p, loss, entropy, -loss >= log_p.amax(dim=-1)


def _minus_target(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Gradient of the loss by the logits: softmax minus one-hot, in place."""
    return probabilities.scatter_add_(1, targets[:, None], probabilities.new_full((len(targets), 1), -1.0))
