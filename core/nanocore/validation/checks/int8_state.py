"""Check: 8-bit states lose little, take the bytes they should, and a Muon that keeps them goes where Muon goes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from nanocore.config.estimate import estimate
from nanocore.optim.momentum import DirectMomentum
from nanocore.optim.orthogonal import orthogonalise
from nanocore.optim.quantised_state import Codes, Floats, Form, dequantise, quantise
from nanocore.validation.outcome import Found, expect, within
from nanocore.validation.steps import begin
from nanocore.validation.workshop import Workshop

BLOCK, STEPS, COUNT = 64, 6, 1000
SHAPE = (48, 96)
FORMS: tuple[Form, ...] = ("int8", "int8-dynamic")
HALF_STEP = {"int8": 0.5 / 127, "int8-dynamic": 0.9 / 64 / 2}  # the dynamic map is widest in its last decade
LEAST_COSINE = 0.999


def check(_: Workshop) -> Found:
    for form in FORMS:
        _codes(form)
    cosine = min(_updates(form) for form in FORMS)
    saved = _bytes()
    return Found(
        f"update cosine {cosine:.5f}, {saved:.1%} less momentum",
        f"linear and dynamic codes over {STEPS} steps of normal gradients; bytes counted from a model's live tensors",
    )


def _codes(form: Form) -> None:
    """No value moves by more than half a step of its block; zeros stay zeros."""
    x = torch.randn(COUNT, generator=torch.Generator().manual_seed(2))
    found = dequantise(*quantise(x, form, BLOCK), form, BLOCK, x.shape)
    largest = pad(x, (0, -COUNT % BLOCK)).view(-1, BLOCK).abs().amax(1).repeat_interleave(BLOCK)[:COUNT]
    off = float(((found - x).abs() / largest).max())
    within(f"{form}: largest error, in units of its block's largest value", off, HALF_STEP[form] + 1e-6)
    zeros = dequantise(*quantise(torch.zeros(70), form, BLOCK), form, BLOCK, (70,))
    expect(not zeros.any(), f"{form}: zeros do not come back", "zeros")


def _updates(form: Form) -> float:
    """The least cosine between Muon's updates from a momentum in codes and in floats, for the same gradients."""
    coded = DirectMomentum(Codes("momentum", SHAPE, form, BLOCK), SHAPE)
    plain = DirectMomentum(Floats("momentum_buffer", SHAPE), SHAPE)
    generator, least = torch.Generator().manual_seed(3), 1.0
    states = coded.slots(torch.zeros(SHAPE)), plain.slots(torch.zeros(SHAPE))
    for step in range(STEPS):
        gradient = torch.randn(SHAPE, generator=generator)
        found, exact = (
            orthogonalise(each.direction(gradient.clone(), state, 0.95, True)[None], 5)
            for each, state in zip((coded, plain), states, strict=True)
        )
        cosine = _cosine(found, exact)
        expect(cosine >= LEAST_COSINE, f"{form}: step {step + 1}: cosine {cosine:.4f}", f"at least {LEAST_COSINE}")
        least = min(least, cosine)
    return least


def _cosine(one: Tensor, two: Tensor) -> float:
    return float((one * two).sum() / (one.norm() * two.norm()).clamp_min(1e-30))


def _bytes() -> float:
    """What of a model's momentum is saved; and that the optimizer's bytes are those of the estimate."""
    plain, coded = begin(), begin("optimizer.state=int8", f"optimizer.state_block={BLOCK}")
    roles = coded.core.roles()
    matrices = [each.numel() for name, each in coded.core.named_parameters() if roles[name] == "matrix"]
    found, exact = coded.optimizers.state_bytes(), sum(count + 4 * -(-count // BLOCK) for count in matrices)
    taken = found["momentum"] + found["scales"]
    expect(taken == exact, f"{taken} bytes of momentum", f"{exact}: a byte a value and 4 a block")
    less = plain.optimizers.live_bytes() - coded.optimizers.live_bytes()
    told = estimate(plain.core.config).optimizer_bytes - estimate(coded.core.config).optimizer_bytes
    expect(less == told, f"{less} bytes less than in floats", f"{told}, as estimated")
    return 1 - taken / (4 * sum(matrices))
