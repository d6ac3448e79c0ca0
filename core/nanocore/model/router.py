"""Which experts a token goes to, and how their load is kept even.

Scores are sigmoids, as in DeepSeek-V3 (arXiv 2412.19437). Two ways of balancing:
    bias: experts are chosen by score + b_i, weighed by the score alone, and after each update b_i moves by `rate`
        towards the mean load, b_i += rate sign(mean - c_i) (loss-free balancing, arXiv 2408.15664);
    loss: Switch's auxiliary loss (arXiv 2101.03961) on each sequence (arXiv 2412.19437, eq. 17 to 20).
Both are the same however a global batch is split into micro-batches and processes: the bias waits for the loads of the
whole batch, and the loss is a sum over sequences, which are never split.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nanocore.config.techniques import Moe

TINY = 1e-20  # keeps scores that are all zero from dividing by zero


class Routing(NamedTuple):
    """`experts` (B, T, k) numbers of the chosen experts, `weights` (B, T, k) of their outputs, `counts` (E,) tokens."""

    experts: Tensor
    weights: Tensor
    counts: Tensor


class Router(nn.Module):
    """`weight` (E, C) scores the experts, in float32 at least; `bias` (E,) is moved by `update_balance`, not by gradients.

    Weights of the chosen experts add up to 1. With one of several experts chosen the weight is its score (Switch): it
    would else be 1 whatever the router did, and the router would learn nothing.
    """

    bias: Tensor

    def __init__(self, moe: Moe, d_model: int) -> None:
        super().__init__()
        self.moe, self.normalised = moe, moe.active > 1 or moe.experts == 1
        self.weight = nn.Parameter(torch.empty(moe.experts, d_model))
        self.register_buffer("bias", torch.zeros(moe.experts))
        # No buffer: a model built on `meta` and filled from a checkpoint would keep it there.
        self.loads = torch.zeros(moe.experts, dtype=torch.long, device="cpu")
        self.balance_loss: Tensor | None = None

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator, gain: float) -> None:
        """Scores around 1/2: normal weights, std gain / sqrt(C); even biases."""
        values = torch.randn(self.weight.shape, generator=generator)
        self.weight.copy_(values.mul_(gain / math.sqrt(self.weight.shape[1])))
        self.bias.zero_()

    def forward(self, x: Tensor) -> Routing:
        """Routes of tokens x (B, T, C). A forward that will be differentiated counts into the loads."""
        with torch.autocast(x.device.type, enabled=False):
            dtype = torch.promote_types(x.dtype, torch.float32)
            scores = F.linear(x.to(dtype), self.weight.to(dtype)).sigmoid()  # (B, T, E)
            experts = (scores.detach() + self.bias).topk(self.moe.active, dim=-1).indices
            weights = scores.gather(-1, experts)
            if self.normalised:
                weights = weights / (weights.sum(dim=-1, keepdim=True) + TINY)
            counts = experts.flatten().bincount(minlength=self.moe.experts)
            if torch.is_grad_enabled():
                self._note(counts, balance_loss(scores, experts) if self.moe.balance == "loss" else None)
        return Routing(experts, weights, counts)

    def _note(self, counts: Tensor, loss: Tensor | None) -> None:
        """Add to the loads and the loss, unless this forward is repeated in the backward pass (checkpointing)."""
        if torch._C._current_graph_task_id() != -1:  # pyright: ignore[reportAttributeAccessIssue]
            return
        self.loads = self.loads.to(counts.device) + counts
        if loss is not None:  # a looped model comes here several times in one forward
            self.balance_loss = loss if self.balance_loss is None else self.balance_loss + loss

    @torch.no_grad()
    def update_balance(self, loads: Tensor) -> None:
        """Move the bias after an update, for the tokens that each expert (E,) got in the whole global batch."""
        if self.moe.balance == "bias":
            loads = loads.to(self.bias.device)
            self.bias.add_((loads.sum() - loads * len(loads)).sign(), alpha=self.moe.bias_rate)


def balance_loss(scores: Tensor, experts: Tensor) -> Tensor:
    """Sum over rows of T sum_i f_i P_i, for scores (B, T, E) and chosen experts (B, T, k).

    In each row f_i = E / (k T) times expert i's tokens, without gradient, and P_i is the mean of its share of the
    scores. It is 1 for each token when even, more when loaded experts score high.
    """
    rows, tokens, count = scores.shape
    chosen = experts.flatten(1)
    loads = torch.zeros(rows, count, dtype=scores.dtype, device=scores.device)
    loads.scatter_add_(1, chosen, torch.ones_like(chosen, dtype=scores.dtype))
    shares = (scores / (scores.sum(dim=-1, keepdim=True) + TINY)).sum(dim=1)  # (B, E), T P_i
    return (loads * shares).sum() * (count / (experts.shape[-1] * tokens))


def routers(model: nn.Module) -> dict[str, Router]:
    """All routers of a model by name, in its order."""
    return {name: module for name, module in model.named_modules() if isinstance(module, Router)}


def take_balance_loss(model: nn.Module) -> Tensor | None:
    """The auxiliary loss of the forward just done, summed over tokens and layers; None without one.

    Take it after every forward that is differentiated: it is a part of that forward's graph. Its share of the
    objective is loss_weight times the sum over all micro-batches, over the tokens of the global batch.
    """
    losses = []
    for router in routers(model).values():
        if router.balance_loss is not None:
            losses.append(router.balance_loss)
            router.balance_loss = None
    return torch.stack(losses).sum() if losses else None


def take_loads(model: nn.Module) -> Tensor:
    """Tokens that each expert got since the last call, (routers, E); to be summed over processes. Counting begins anew."""
    found = routers(model).values()
    loads = torch.stack([router.loads for router in found])
    for router in found:
        router.loads.zero_()
    return loads


def apply_balance(model: nn.Module, loads: Tensor) -> None:
    """After the optimizer's update: balance every router by the loads (routers, E) of the whole global batch."""
    for router, its_loads in zip(routers(model).values(), loads, strict=True):
        router.update_balance(its_loads)


@dataclass(frozen=True)
class LoadReport:
    """`summary` holds metrics by name, over all routers; `layers` one record for each router."""

    summary: dict[str, float]
    layers: list[dict[str, Any]]


def load_report(model: nn.Module, loads: Tensor) -> LoadReport:
    """How evenly the loads (routers, E) of a global batch lie. MaxVio = largest over mean load, minus 1 (2408.15664)."""
    rows = [_row(name, its_loads) for name, its_loads in zip(routers(model), loads.cpu(), strict=True)]
    worst = max(row["max_violation"] for row in rows)
    entropy = sum(row["entropy"] for row in rows) / len(rows)
    return LoadReport({"moe/max_violation": worst, "moe/load_entropy": entropy}, rows)


def _row(name: str, loads: Tensor) -> dict[str, Any]:
    """Load fractions of one router, MaxVio, and the entropy of the fractions in nats: ln E when even."""
    fractions = loads.double() / loads.sum()
    violation = float(fractions.max()) * len(loads) - 1
    entropy = float(torch.special.entr(fractions).sum())
    return {
        "kind": "moe",
        "name": name,
        "fractions": fractions.tolist(),
        "max_violation": violation,
        "entropy": entropy,
    }
