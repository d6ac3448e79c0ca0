"""LoopLM (Ouro, arXiv 2510.25741): the middle of the stack runs several times, with a gate that says when to leave."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nanocore.model.norm import RMSNorm


class Exits(NamedTuple):
    """Of every turn: hidden states (R, B, T, C) as the head reads them, and the gates' logits (R, B, T)."""

    hidden: Tensor
    gates: Tensor


class ExitGate(nn.Module):
    """Logit of leaving the loop, of each token, read from its residual stream after a turn; even odds at the start."""

    def __init__(self, d_model: int, eps: float) -> None:
        super().__init__()
        self.norm = RMSNorm(d_model, eps)
        self.weight = nn.Parameter(torch.empty(d_model))
        self.bias = nn.Parameter(torch.empty(1))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        self.weight.zero_()
        self.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) to (B, T), in float32 at least."""
        with torch.autocast(x.device.type, enabled=False):
            dtype = torch.promote_types(x.dtype, torch.float32)
            return F.linear(self.norm(x).to(dtype), self.weight.to(dtype)[None], self.bias.to(dtype)).squeeze(-1)


class Leaving:
    """Which tokens have left the loop while text is read or generated: at a cumulative exit probability of `threshold`.

    A token that has left keeps its residual stream, and its keys and values stand for those of the turns it leaves out.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.gone: Tensor | None = None  # (B, T)
        self._stay: Tensor | None = None

    def settle(self, before: Tensor, after: Tensor) -> Tensor:
        """Streams (B, T, n, C) after a turn: those of tokens that had left stay as they were."""
        return after if self.gone is None else torch.where(self.gone[..., None, None], before, after)

    def decide(self, gates: Tensor) -> bool:
        """Count the exit probabilities after a turn, from logits (B, T); True when every token has left."""
        stay = torch.sigmoid(-gates)
        self._stay = stay if self._stay is None else self._stay * stay
        gone = 1.0 - self._stay >= self.threshold
        self.gone = gone if self.gone is None else self.gone | gone
        return bool(self.gone.all())
