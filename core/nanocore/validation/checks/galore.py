"""Check: GaLore's subspace, the rotation of its momentum at a refresh, and the memory it takes.

At full rank nothing is lost by projecting: with a rotated momentum every update is Muon's, across any refresh.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nanocore.config.estimate import estimate
from nanocore.optim.galore import SubspaceMomentum, leading_basis
from nanocore.optim.momentum import DirectMomentum
from nanocore.optim.orthogonal import orthogonalise
from nanocore.optim.quantised_state import Floats
from nanocore.validation.compare import error
from nanocore.validation.outcome import Found, expect, within
from nanocore.validation.steps import train_steps
from nanocore.validation.workshop import Workshop

SIDE, LENGTH, STEPS, REFRESH = 16, 40, 6, 2
SETS = ("galore.rank_fraction=0.25", "galore.refresh_every=2")


def check(_: Workshop) -> Found:
    _basis()
    worst = _full_rank()
    saved = _memory()
    return Found(
        f"full-rank error {worst:.1e}, {saved:.1%} less momentum at a quarter of the rank",
        f"over {STEPS} steps with a new subspace every {REFRESH}; the basis is orthonormal and holds the largest directions",
    )


def _gradient(seed: int) -> Tensor:
    return torch.randn((SIDE, LENGTH), dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def _basis() -> None:
    gradient = _gradient(0)
    basis = leading_basis(gradient, 4)
    identity = torch.eye(4, dtype=torch.float64)
    within("P P^T off the identity", float((basis @ basis.mT - identity).abs().max()), 1e-6)
    held = float((basis @ gradient).square().sum())
    most = float(torch.linalg.svdvals(gradient)[:4].square().sum())
    within("share of the leading directions that is lost", 1 - held / most, 1e-6)


def _full_rank() -> float:
    shape = (SIDE, LENGTH)
    inner = SubspaceMomentum(Floats("projector", (SIDE, SIDE)), Floats("momentum_buffer", shape), shape, REFRESH, False)
    direct, like = DirectMomentum(Floats("momentum_buffer", shape), shape), _gradient(0)
    state, plain, worst = inner.slots(like), direct.slots(like), 0.0
    for step in range(STEPS):
        gradient = _gradient(step)
        found = inner.lift(orthogonalise(inner.direction(gradient, state, 0.95, True)[None], 5)[0], state)
        exact = orthogonalise(direct.direction(gradient, plain, 0.95, True)[None], 5)[0]
        worst = max(worst, within(f"update {step + 1} at full rank off Muon's", error(found, exact), 1e-3))
    newest = leading_basis(_gradient(STEPS - REFRESH), SIDE)
    within("the subspace off that of the newest refresh", error(state["projector"], newest), 1e-3)
    return worst


def _memory() -> float:
    """Of the matrices: a quarter of the rank is a quarter of the momentum, and a projector besides."""
    plain, trace = train_steps(count=1), train_steps(*SETS, count=3)
    before, after = plain.optimizers.state_bytes(), trace.optimizers.state_bytes()
    expect(after.get("projector", 0) > 0, "no projector is kept", "one for each matrix")
    share = (after["momentum"] + after["projector"]) / before["momentum"]
    expect(share < 0.75, f"{share:.0%} of Muon's momentum", "less than 75 %")
    told = estimate(trace.core.config).optimizer_bytes - estimate(plain.core.config).optimizer_bytes
    found = trace.optimizers.live_bytes() - plain.optimizers.live_bytes()
    expect(found == told, f"{found} bytes more than Muon", f"{told}, as estimated")
    return 1 - share
