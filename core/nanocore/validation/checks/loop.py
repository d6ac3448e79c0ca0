"""Check: LoopLM's exit distribution and its loss, against the formulas in float64."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nanocore.objective import exits
from nanocore.objective.goal import Goal
from nanocore.validation.compare import error
from nanocore.validation.outcome import Found, expect, within
from nanocore.validation.steps import as_micro, begin, random_batch
from nanocore.validation.workshop import Workshop

TURNS, ENTROPY_WEIGHT = 3, 0.05


def check(_: Workshop) -> Found:
    worst = max(_distribution(), _loss())
    return Found(
        f"{TURNS} turns, worst error {worst:.1e}",
        "q_t = lambda_t prod (1 - lambda_s), the last turn takes the rest; loss = sum q_t CE_t - 0.05 H(q)",
    )


def _probabilities(gates: Tensor) -> Tensor:
    """q (R, ...) of the gates' logits (R, ...), turn by turn."""
    left, found = torch.ones_like(gates[0]), []
    for gate in gates[:-1].sigmoid():
        found.append(left * gate)
        left = left * (1 - gate)
    return torch.stack([*found, left])


def _distribution() -> float:
    gates = torch.randn((TURNS, 5), dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 3
    found = exits.exit_log_probabilities(gates).exp()
    within("sum of exit probabilities off 1", float((found.sum(0) - 1).abs().max()), 1e-12)
    gates[-1] += 1
    same = torch.equal(exits.exit_log_probabilities(gates).exp(), found)
    expect(same, "the last turn's gate is read", "the last turn takes what is left")
    return within("exit probabilities, error", error(found, _probabilities(gates)), 1e-12)


def _loss() -> float:
    """With a gate that is not even, so that turns weigh differently."""
    core = begin(f"loop.count={TURNS}", f"loop.entropy_weight={ENTROPY_WEIGHT}", double=True).core
    assert core.exit_gate is not None
    with torch.no_grad():
        core.exit_gate.weight.copy_(torch.linspace(-1, 1, 32))
    batch = random_batch(core.config)
    micro = as_micro(batch)
    passed = core.exits(micro.tokens, positions=micro.positions, documents=micro.documents)
    terms = Goal(core, core.config, batch).terms(passed, micro)
    valid, q = (micro.targets >= 0).double(), _probabilities(passed.gates)
    losses = torch.stack([_losses(core.logits(state), micro.targets) for state in passed.hidden])
    entropy = -(q * q.log()).sum(0)
    exact = (((q * losses).sum(0) - ENTROPY_WEIGHT * entropy) * valid).sum() / valid.sum()
    last = float((losses[-1] * valid).sum().detach())
    within("reported cross-entropy off the last turn's", abs(float(terms.sums[0]) - last) / last, 1e-10)
    return within("loss, error", error(terms.loss, exact), 1e-10)


def _losses(logits: Tensor, targets: Tensor) -> Tensor:
    found = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1, reduction="none")
    return found.view_as(targets)
