"""Check: Muon and Lion step by step against their formulas, and what orthogonalisation makes of singular values."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nanocore.optim.lion import Lion
from nanocore.optim.muon import Muon
from nanocore.optim.optimizers import Optimizers
from nanocore.optim.orthogonal import Orthogonalisation, orthogonalise
from nanocore.validation.compare import error
from nanocore.validation.outcome import Found, expect, within
from nanocore.validation.tiny import tiny_model
from nanocore.validation.workshop import Workshop

RATE, MOMENTUM, DECAY, STEPS = 0.02, 0.95, 0.1, 3
SHAPES = ((24, 40), (40, 24), (16, 16))
ROLES = (
    "optimizer.others=lion", "optimizer.matrix_lr=0.02", "optimizer.embedding_lr=0.006", "optimizer.scalar_lr=0.003",
    "optimizer.matrix_weight_decay=0.1", "optimizer.other_weight_decay=0.2", "model.tie_embeddings=false", "mhc.dynamic=true",
)  # fmt: skip
RATES = {"matrix": 0.02, "embedding": 0.006, "head": 0.006, "norm": 0.003, "mixing": 0.003}  # by role, as in ROLES
DECAYS = {"matrix": 0.1, "embedding": 0.2, "head": 0.2, "norm": 0.0, "mixing": 0.0}
METHODS: tuple[Orthogonalisation, ...] = ("newton-schulz", "polar-express")


def check(_: Workshop) -> Found:
    worst = max(_muon(), _lion(), _roles())
    low, high = (torch.stack(ends) for ends in zip(*(_singular_values(method) for method in METHODS), strict=True))
    return Found(
        f"worst error {worst:.1e}, singular values {float(low.min()):.2f} to {float(high.max()):.2f}",
        f"{STEPS} steps of Muon on wide, tall and square matrices, and of Lion; Newton-Schulz and Polar Express; each role's rate "
        "and decay",
    )


def _gradients(shape: tuple[int, ...], seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, dtype=torch.float64, generator=generator) for _ in range(STEPS)]


def _muon() -> float:
    """In float64, so that the order of products does not matter."""
    weights = [nn.Parameter(torch.ones(shape, dtype=torch.float64)) for shape in SHAPES]
    gradients = [_gradients(shape, seed) for seed, shape in enumerate(SHAPES)]
    optimizer = Muon(weights, RATE, momentum=MOMENTUM, weight_decay=DECAY)
    for each in zip(*gradients, strict=True):
        for weight, gradient in zip(weights, each, strict=True):
            weight.grad = gradient.clone()
        optimizer.step()
    exact = [
        _muon_by_hand(torch.ones(shape, dtype=torch.float64), each)
        for shape, each in zip(SHAPES, gradients, strict=True)
    ]
    return max(
        within(f"Muon, {shape[0]} x {shape[1]}: weights, error", error(found, right), 1e-5)
        for shape, found, right in zip(SHAPES, weights, exact, strict=True)
    )


def _muon_by_hand(weight: Tensor, gradients: list[Tensor]) -> Tensor:
    """b = m b + (1 - m) g; u = (1 - m) g + m b; W = W (1 - lr wd) - lr sqrt(max(1, rows / columns)) NS(u)."""
    buffer = torch.zeros_like(weight)
    for gradient in gradients:
        buffer = MOMENTUM * buffer + (1 - MOMENTUM) * gradient
        update = (1 - MOMENTUM) * gradient + MOMENTUM * buffer
        weight = weight * (1 - RATE * DECAY) - RATE * _orthogonal(update)
    return weight


def _newton_schulz(x: Tensor) -> Tensor:
    x = x / x.norm()
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x


def _lion() -> float:
    """W = W (1 - lr wd) - lr sign(b1 m + (1 - b1) g); m = b2 m + (1 - b2) g."""
    weight, gradients = nn.Parameter(torch.ones(9, dtype=torch.float64)), _gradients((9,), 5)
    gradients[0][0] = 0.0  # sign(0) = 0
    optimizer = Lion([weight], RATE, (0.9, 0.99), DECAY)
    exact, momentum = torch.ones(9, dtype=torch.float64), torch.zeros(9, dtype=torch.float64)
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimizer.step()
        exact = exact * (1 - RATE * DECAY) - RATE * (0.9 * momentum + 0.1 * gradient).sign()
        momentum = 0.99 * momentum + 0.01 * gradient
    return within("Lion: weights, error", error(weight, exact), 1e-9)


def _roles() -> float:
    """Half of each role's rate, a quarter of its decay: Muon's first step is NS(g), those of Lion and AdamW are sign(g)."""
    core, worst = tiny_model(9, *ROLES).double(), 0.0
    optimizers, before = Optimizers(core, core.config), {name: each.clone() for name, each in core.state_dict().items()}
    generator = torch.Generator().manual_seed(4)
    for parameter in core.parameters():
        drawn = torch.randn(parameter.shape, dtype=parameter.dtype, generator=generator)
        parameter.grad = drawn + drawn.sign()  # well above AdamW's epsilon
    optimizers.step(0.5, 0.25)
    for name, role in core.roles().items():
        parameter, rate = core.get_parameter(name), RATES[role] / 2
        gradient = parameter.grad
        assert gradient is not None
        move = gradient.sign() if role != "matrix" else _orthogonal(gradient)
        exact = before[name] * (1 - rate * DECAYS[role] / 4) - rate * move
        worst = max(worst, within(f"{role}, {name}: weights, error", error(parameter, exact), 1e-5))
    return worst


def _orthogonal(gradient: Tensor) -> Tensor:
    rows, columns = gradient.shape
    update = _newton_schulz(gradient) if rows <= columns else _newton_schulz(gradient.mT).mT
    return math.sqrt(max(1.0, rows / columns)) * update


def _singular_values(method: Orthogonalisation) -> tuple[Tensor, Tensor]:
    """The least and the largest after five iterations, of a wide normal matrix; its singular vectors stay."""
    x = torch.randn((1, 32, 96), generator=torch.Generator().manual_seed(8))
    found = torch.linalg.svdvals(orthogonalise(x, 5, method)[0])
    expect(
        float(found.min()) > 0.5 and float(found.max()) < 1.3,
        f"{method}: {found.min():.2f} to {found.max():.2f}",
        "0.5 to 1.3",
    )
    return found.min(), found.max()
