"""Check: the numbers of emulated FP4, its stochastic rounding, and the rotations that must cancel."""

from __future__ import annotations

import torch
from torch import Tensor

from nanocore.model.fp4 import Format, e2m1, fake_quantise, hadamard, rotate_rows
from nanocore.model.fp4_study import random_rotation
from nanocore.validation.compare import error
from nanocore.validation.outcome import Found, expect, within
from nanocore.validation.workshop import Workshop

NUMBERS = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
DRAWS, STANDARD_ERRORS = 4096, 4.0
FORMATS: tuple[Format, ...] = ("nvfp4", "mxfp4", "token")
# Relative error of normal values, measured against torchao's own emulation: 9.5 %, 11.5 %, 11.1 %. That of `token`
# depends on the width of a row.
LARGEST_ERROR = 0.13
ROWS, WIDTH = 2048, 256


def check(_: Workshop) -> Found:
    _nearest()
    bias = _stochastic()
    errors = {name: _format(name) for name in FORMATS}
    _rotations()
    shown = ", ".join(f"{name} {value:.1%}" for name, value in errors.items())
    return Found(
        f"error of normal values in rows of {WIDTH}: {shown}",
        f"every value nearest of E2M1's 15; stochastic means within {bias:.1f} standard errors; rotations cancel",
    )


def _nearest() -> None:
    values = torch.linspace(-7, 7, 1501)
    signed = torch.cat((-NUMBERS.flip(0), NUMBERS))
    distance = (values.clamp(-6, 6)[:, None] - signed).abs()
    off = float(((values.clamp(-6, 6) - e2m1(values)).abs() - distance.amin(1)).abs().max())
    within("distance beyond that of the nearest E2M1 number", off, 1e-6)
    known = bool(torch.isin(e2m1(values), signed).all())
    expect(known, "a number that is not of E2M1", "0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives")


def _stochastic() -> float:
    """How many standard errors the mean of many draws is off, at most."""
    values = torch.tensor([0.1, 0.3, 0.7, 1.2, 2.3, 3.4, 4.5, 5.9])
    noise = torch.rand((DRAWS, len(values)), generator=torch.Generator().manual_seed(4))
    drawn = e2m1(values.expand_as(noise), noise)
    off = (drawn.mean(0) - values).abs() / (drawn.std(0) / DRAWS**0.5)
    return within("mean of stochastic rounding, standard errors off", float(off.max()), STANDARD_ERRORS)


def _format(name: Format) -> float:
    x = torch.randn((ROWS, WIDTH), generator=torch.Generator().manual_seed(5))
    found = fake_quantise(x, name)
    relative = float((found - x).norm() / x.norm())
    expect(
        0.05 < relative <= LARGEST_ERROR,
        f"{name}: relative error {relative:.3f}",
        f"about 0.1, at most {LARGEST_ERROR}",
    )
    expect(torch.equal(fake_quantise(torch.zeros(2, 32), name), torch.zeros(2, 32)), f"{name}: zeros move", "zeros")
    return relative


def _rotations() -> None:
    """(H dY)^T (H X) = dY^T X."""
    matrix, generator = hadamard(16), torch.Generator().manual_seed(6)
    within("H H^T off the identity", float((matrix @ matrix.mT - torch.eye(16)).abs().max()), 1e-6)
    rotation = random_rotation(generator)
    left, right = (torch.randn((32, width), generator=generator) for width in (5, 7))
    product: Tensor = rotate_rows(left, rotation).mT @ rotate_rows(right, rotation)
    within("rotated product, error", error(product, left.mT @ right), 1e-5)
