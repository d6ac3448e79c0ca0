"""LoopLM's loss over all exits (Ouro, arXiv 2510.25741): each token spreads its loss over the turns of the loop.

With exit probabilities lambda_t = sigmoid(gate of turn t), a token leaves after turn t with
    q_t = lambda_t prod_{s<t} (1 - lambda_s), and the last turn takes what remains, so that sum_t q_t = 1.
First stage: sum_t q_t CE_t - beta H(q). Second stage: the model is frozen and the gate learns to go on while another
turn still improves the loss by more than `GAIN`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nanocore.config.techniques import Loop
from nanocore.objective.cross_entropy import CrossEntropy

SHARPNESS, GAIN = 50.0, 0.005  # k and gamma of the second stage's soft threshold


def exit_log_probabilities(gates: Tensor) -> Tensor:
    """log q (R, ...) from the gates' logits (R, ...), in float32 at least; the last turn's gate is not read."""
    gates = gates.to(torch.promote_types(gates.dtype, torch.float32))
    stay = F.logsigmoid(-gates[:-1]).cumsum(dim=0)  # log of having stayed through turn t
    before = torch.cat((torch.zeros_like(gates[:1]), stay))  # (R, ...)
    leave = torch.cat((F.logsigmoid(gates[:-1]), torch.zeros_like(gates[:1])))
    return before + leave


def exit_entropy(log_q: Tensor) -> Tensor:
    """Entropy (...) of the exit distribution (R, ...), in nats."""
    return -(log_q.exp() * log_q).sum(dim=0)


def gate_loss(gates: Tensor, losses: Tensor) -> Tensor:
    """Second stage, per token (...): cross-entropy of going on, for gates and losses (R, ...) of all turns.

    After turn t the label to go on is sigmoid(k (max(0, CE_t - CE_{t+1}) - gamma)).
    """
    gain = (losses[:-1] - losses[1:]).clamp(min=0.0)  # (R - 1, ...)
    go_on = torch.sigmoid(SHARPNESS * (gain - GAIN))
    return F.binary_cross_entropy_with_logits(-gates[:-1].to(go_on.dtype), go_on, reduction="none").mean(dim=0)


@dataclass(frozen=True)
class ExitTerms:
    """Sums over targets: `total` carries the gradient, `last` is the last turn's loss, `parts` are metrics by name."""

    total: Tensor
    last: CrossEntropy
    parts: dict[str, Tensor]


def exit_terms(
    states: Tensor,
    gates: Tensor,
    targets: Tensor,
    loop: Loop,
    cross_entropy: Callable[[Tensor, Tensor, Tensor | None], CrossEntropy],
) -> ExitTerms:
    """The loss of the stage in `loop`, for hidden states (R, N, C) and gates (R, N) of all turns, and targets (N,)."""
    valid = targets >= 0
    log_q = exit_log_probabilities(gates)
    turns = torch.arange(1, len(states) + 1, device=gates.device, dtype=log_q.dtype)
    entropy = (exit_entropy(log_q) * valid).sum()
    if loop.stage == "gate":
        with torch.no_grad():
            found = [cross_entropy(state, targets, None) for state in states]
        total = (gate_loss(gates, torch.stack([each.per_token for each in found])) * valid).sum()
        parts = {"loss/gate": total.detach()}
    else:
        found = [cross_entropy(state, targets, q) for state, q in zip(states, log_q.exp(), strict=True)]
        expected = torch.stack([each.total for each in found]).sum()
        total = expected - loop.entropy_weight * entropy
        parts = {"loss/expected": expected.detach()}
    parts["loop/exit_entropy"] = entropy.detach()
    shares = torch.einsum("rn,n->r", log_q.detach().exp(), valid.to(log_q.dtype))
    parts |= {f"loop/exit_probability/{turn}": share for turn, share in enumerate(shares.unbind(), 1)}
    parts["loop/mean_turns"] = (torch.einsum("r,rn->n", turns, log_q.detach().exp()) * valid).sum()
    return ExitTerms(total, found[-1], parts)
