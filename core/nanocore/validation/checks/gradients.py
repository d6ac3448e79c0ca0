"""Check: the gradient that the trainer's step gives every parameter is the slope of the loss, in float64.

Float matrices: the gradient of ternary ones is no slope (`quantisers` holds it against its formula). All else that has a
backward pass written by hand is in these models: norms, maps of streams, the loss.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import torch
from torch import Tensor

from nanocore.data.batch import Batch
from nanocore.objective.goal import Goal
from nanocore.train.distributed import World
from nanocore.train.hardware import Machine
from nanocore.train.step import never, take_step
from nanocore.validation.compare import demand_finite, error
from nanocore.validation.outcome import Found, within
from nanocore.validation.steps import CPU, Trace, as_micro, begin, random_batch
from nanocore.validation.workshop import Workshop

COMMON = ("model.linear=float", "model.context_length=12", "training.batch_size=2", "objective.z_loss=0.01")
MODELS: dict[str, tuple[str, ...]] = {
    "two dynamic streams": ("mhc.dynamic=true", "mtp.horizon=1"),
    "Sinkhorn's maps and DeltaNet": ("mhc.kind=sinkhorn", "delta.pattern=DA", "delta.chunk=4"),
}
STEP, BOUND = 1e-5, 1e-6
SMALLEST = 1e-3  # gradients whose norm is below it are held to BOUND * SMALLEST


def check(_: Workshop) -> Found:
    worst, seen = 0.0, set[str]()
    for name, sets in MODELS.items():
        trace, batch = _moved(*COMMON, *sets), random_batch(begin(*COMMON, *sets).core.config)
        whole = _gradients(trace, batch, accumulation=1)
        _in_parts(name, trace, batch, whole)
        for kind in (kinds := _alike(whole)).keys() - seen:
            off = _off_slope(trace, batch, {each: whole[each] for each in kinds[kind]})
            worst = max(worst, within(f"{name}: gradient of {kind}, off the slope", off, BOUND))
        seen |= kinds.keys()
    return Found(
        f"{len(seen)} kinds of parameters, worst error {worst:.1e}",
        f"{', '.join(MODELS)}: central differences; the same by two micro-batches; clipped to half of their norm",
    )


def _moved(*sets: str) -> Trace:
    """A model before its first step, with no parameter at a special value."""
    trace, generator = begin(*sets, double=True), torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in trace.core.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, dtype=parameter.dtype, generator=generator)
    return trace


def _gradients(trace: Trace, batch: Batch, *, accumulation: int, clip: float = 0.0) -> dict[str, Tensor]:
    """As the trainer's step leaves them before its update. Raises Failed where one is not finite."""
    take_step(
        trace.core, Goal(trace.core, trace.core.config, batch), trace.optimizers, batch,
        machine=Machine(CPU, torch.float32, 1, "CPU", None), world=World(0, 1, CPU), accumulation=accumulation,
        grad_clip=clip, lr_factor=1.0, weight_decay_factor=1.0, admit=never,
    )  # fmt: skip
    found = {name: each.grad.clone() for name, each in trace.core.named_parameters() if each.grad is not None}
    demand_finite("gradients", found)
    return found


def _alike(names: Iterable[str]) -> dict[str, list[str]]:
    """Names of parameters that differ in the layer alone, which are moved together."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(re.sub(r"\.\d+\.", ".*.", name), []).append(name)
    return found


@torch.no_grad()
def _off_slope(trace: Trace, batch: Batch, gradients: dict[str, Tensor]) -> float:
    """How far the slope of the loss in a random direction is off the gradients', in units of the longer one."""
    parameters, generator = [trace.core.get_parameter(name) for name in gradients], torch.Generator().manual_seed(5)
    directions = [torch.randn(each.shape, dtype=each.dtype, generator=generator) for each in parameters]
    length, kept, ends = _norm(directions), [each.clone() for each in parameters], []
    for step in (STEP / length, -STEP / length):
        for parameter, before, direction in zip(parameters, kept, directions, strict=True):
            parameter.copy_(before + step * direction)
        ends.append(_loss(trace, batch))
    for parameter, before in zip(parameters, kept, strict=True):
        parameter.copy_(before)
    slope = (ends[0] - ends[1]) / (2 * STEP)
    along = zip(gradients.values(), directions, strict=True)
    told = sum(float((gradient * direction).sum()) for gradient, direction in along) / length
    return abs(slope - told) / max(_norm(gradients.values()), abs(slope), SMALLEST)


def _norm(tensors: Iterable[Tensor]) -> float:
    """Of all values together."""
    return float(torch.stack([each.norm() for each in tensors]).norm())


def _loss(trace: Trace, batch: Batch) -> float:
    core, micro = trace.core, as_micro(batch)
    hidden = core(micro.tokens, positions=micro.positions, documents=micro.documents)
    return float(Goal(core, core.config, batch).terms(hidden, micro).loss)


def _in_parts(name: str, trace: Trace, batch: Batch, whole: dict[str, Tensor]) -> None:
    """Two micro-batches give the same gradients; clipping multiplies all by one factor, to the norm asked for together."""
    exact = {key: gradient for key, gradient in whole.items() if gradient.any()}
    parts = _gradients(trace, batch, accumulation=2)
    off = max(error(parts[key], gradient) for key, gradient in exact.items())
    within(f"{name}: gradient of two micro-batches off that of one", off, 1e-10)
    clipped = _gradients(trace, batch, accumulation=1, clip=_norm(whole.values()) / 2)
    off = max(error(clipped[key] * 2, gradient) for key, gradient in exact.items())
    within(f"{name}: twice the gradients clipped to half of their norm, off", off, 1e-4)
