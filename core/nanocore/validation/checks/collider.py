"""Check: token filtering keeps the right tokens, and its backward pass is that of the kept ones.

Exact semantics of the backward pass: autograd on the kept tokens' loss, with keys and values of dropped tokens detached.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nanocore.model.kept_rows import KeptRows, attend
from nanocore.objective.goal import Goal
from nanocore.validation.compare import demand_finite, error
from nanocore.validation.outcome import Found, expect, within
from nanocore.validation.steps import as_micro, begin, random_batch
from nanocore.validation.workshop import Workshop

KEEP = 0.5
EXACT = 1e-10  # in float64


def check(_: Workshop) -> Found:
    kept, targets = _chosen()
    worst = max(_attention(), _all_kept())
    return Found(
        f"{kept} of {targets} tokens kept, worst gradient error {worst:.1e}",
        "those with the largest loss of each row; attention backward on kept tokens; with all kept, the plain gradient",
    )


def _chosen() -> tuple[int, int]:
    """The loss is the mean over the tokens of largest loss in each row; others get no gradient of their own."""
    core = begin("collider.mode=head", f"collider.keep={KEEP}", double=True).core
    batch = random_batch(core.config)
    micro = as_micro(batch)
    hidden = core(micro.tokens, positions=micro.positions, documents=micro.documents)
    hidden.retain_grad()
    terms = Goal(core, core.config, batch, filtering=True).terms(hidden, micro)
    terms.loss.backward()
    assert hidden.grad is not None
    learns = hidden.grad.abs().amax(-1) > 0
    losses = _losses(core.logits(hidden), micro.targets)
    _largest(losses, learns)
    within("loss off the kept tokens' mean", abs(float(terms.loss.detach() - losses[learns].mean())), EXACT)
    kept, targets = int(learns.sum()), int((micro.targets >= 0).sum())
    expect(abs(kept - KEEP * targets) <= 1, f"{kept} of {targets} tokens kept", f"{KEEP:.0%}, exact to one token")
    return kept, targets


@torch.no_grad()
def _losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Of each token (B, T); -1 without a target."""
    found = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none", ignore_index=-1)
    return found.view_as(targets).masked_fill(targets < 0, -1.0)


def _largest(losses: Tensor, kept: Tensor) -> None:
    for row, (mine, marks) in enumerate(zip(losses, kept, strict=True)):
        least, most = float(mine[marks].min()), float(mine[~marks].max())
        told = f"row {row}: a token of loss {most:.2f} dropped, one of {least:.2f} kept"
        expect(least >= most, told, "the tokens with the largest losses kept")


def _attention() -> float:
    """Gradients by query, key and value of 4 heads on 2, for a mask of kept tokens."""
    generator = torch.Generator().manual_seed(3)
    query, key, value = (
        torch.randn((2, heads, 9, 8), dtype=torch.float64, generator=generator).requires_grad_() for heads in (4, 2, 2)
    )
    mask = torch.rand((2, 9), generator=generator) < 0.6
    d_output = torch.randn((2, 4, 9, 8), dtype=torch.float64, generator=generator) * mask[:, None, :, None]
    rows = KeptRows()
    rows.keep(mask)
    found = torch.autograd.grad(attend(query, key, value, None, rows), (query, key, value), d_output)
    exact = torch.autograd.grad(_detached(query, key, value, mask), (query, key, value), d_output)
    names = ("query", "key", "value")
    return max(
        within(f"gradient by {name}, error", error(*pair), EXACT)
        for name, *pair in zip(names, found, exact, strict=True)
    )


def _detached(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    kept = mask[:, None, :, None]
    key, value = (torch.where(kept, each, each.detach()).repeat_interleave(2, 1) for each in (key, value))
    scores = (query @ key.mT / query.shape[-1] ** 0.5).masked_fill(torch.ones(9, 9).triu(1).bool(), -torch.inf)
    return scores.softmax(-1) @ value


def _all_kept() -> float:
    """A filter that keeps every token is the plain backward pass, in every layer."""
    gradients = [_gradients(*sets) for sets in ((), ("collider.mode=full", "collider.keep=1.0"))]
    worst = max(error(gradients[1][name], exact) for name, exact in gradients[0].items())
    return within("gradient with every token kept, error", worst, EXACT)


def _gradients(*sets: str) -> dict[str, Tensor]:
    core = begin(*sets, double=True).core
    batch = random_batch(core.config)
    micro = as_micro(batch)
    hidden = core(micro.tokens, positions=micro.positions, documents=micro.documents)
    Goal(core, core.config, batch, filtering=bool(sets)).terms(hidden, micro).loss.backward()
    found = {name: each.grad for name, each in core.named_parameters() if each.grad is not None}
    demand_finite("gradients", found)
    return {name: gradient for name, gradient in found.items() if gradient.any()}
