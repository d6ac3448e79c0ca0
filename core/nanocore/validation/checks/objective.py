"""Check: cross-entropy and what shapes it, by chunks and with gradients taken at once, against the formulas in float64."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nanocore.objective.cross_entropy import linear_cross_entropy
from nanocore.objective.regularisers import PLAIN, Regularisers
from nanocore.validation.compare import error
from nanocore.validation.outcome import Found, expect, within
from nanocore.validation.workshop import Workshop

TOKENS, WIDTH, WORDS = 37, 16, 29
CASES = {
    "plain": PLAIN,
    "label smoothing": Regularisers(label_smoothing=0.1),
    "z-loss": Regularisers(z_loss=0.01),
    "entropy bonus": Regularisers(entropy_bonus=0.05),
    "all three": Regularisers(0.1, 0.01, 0.05),
}
EXACT = 1e-10


def check(_: Workshop) -> Found:
    worst = max(_case(name, each) for name, each in CASES.items())
    return Found(
        f"{len(CASES)} losses, worst error {worst:.1e}",
        f"loss and both gradients of {', '.join(CASES)}; positions without target count nothing",
    )


def _case(name: str, regularisers: Regularisers) -> float:
    generator = torch.Generator().manual_seed(5)
    hidden = torch.randn((TOKENS, WIDTH), dtype=torch.float64, generator=generator).requires_grad_()
    weight = torch.randn((WORDS, WIDTH), dtype=torch.float64, generator=generator).requires_grad_()
    targets = torch.randint(0, WORDS, (TOKENS,), generator=generator)
    targets[::7] = -1
    found = linear_cross_entropy(hidden, weight, targets, chunk=10, regularisers=regularisers)
    ours = torch.autograd.grad(found.total, (hidden, weight))
    plain, total = _formula(hidden, weight, targets, regularisers)
    exact = torch.autograd.grad(total, (hidden, weight))
    count = int(found.count)
    expect(count == int((targets >= 0).sum()), f"{name}: {count} targets count", f"{int((targets >= 0).sum())}")
    pairs = {"cross-entropy": (found.sum, plain), "loss": (found.total, total)}
    pairs |= {"gradient of hidden states": (ours[0], exact[0]), "gradient of the head": (ours[1], exact[1])}
    return max(within(f"{name}: {what}, error", error(*pair), EXACT) for what, pair in pairs.items())


def _formula(hidden: Tensor, weight: Tensor, targets: Tensor, on: Regularisers) -> tuple[Tensor, Tensor]:
    """Sums over targets: plain cross-entropy, and with (1 - eps) one-hot + eps / V, + c Z^2 - b H."""
    logits = (hidden @ weight.mT)[targets >= 0]
    targets = targets[targets >= 0]
    log_p = logits.log_softmax(-1)
    smoothed = F.cross_entropy(logits, targets, reduction="sum", label_smoothing=on.label_smoothing)
    entropy = -(log_p.exp() * log_p).sum()
    plain = F.nll_loss(log_p, targets, reduction="sum")
    return plain, smoothed + on.z_loss * logits.logsumexp(-1).square().sum() - on.entropy_bonus * entropy
