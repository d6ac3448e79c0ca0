"""Check: every technique is live when it is on, and costs no bit when it has no effect; by the trainer's own step.

A technique that adds parameters moves what the seed draws for all others, which alone makes another run. So the weights
that a model with it has in common with the plain one begin as those.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from nanocore.model.transformer import Transformer
from nanocore.validation.compare import demand_finite, differing
from nanocore.validation.outcome import Found, expect
from nanocore.validation.steps import begin, train_steps
from nanocore.validation.tiny import tiny_model
from nanocore.validation.workshop import Workshop

BASE = "mhc.streams=1"
MOE = ("moe.experts=4", "moe.active=2", "moe.d_expert=16")
ON: dict[str, tuple[str, ...]] = {
    "multi-token prediction": ("mtp.horizon=2",),
    "its sequential form": ("mtp.horizon=1", "mtp.kind=sequential"),
    "token filtering of the head": ("collider.mode=head", "collider.keep=0.5"),
    "token filtering in full": ("collider.mode=full", "collider.keep=0.5"),
    "8-bit Muon": ("optimizer.state=int8",),
    "GaLore": ("galore.rank_fraction=0.25",),
    "GaLore with 8 bits": ("galore.rank_fraction=0.25", "optimizer.state=int8"),
    "AdamW": ("optimizer.matrices=adamw",),
    "Lion": ("optimizer.matrices=lion", "optimizer.others=lion"),
    "Polar Express": ("optimizer.orthogonalisation=polar-express",),
    "label smoothing": ("objective.label_smoothing=0.1",),
    "z-loss": ("objective.z_loss=0.01",),
    "entropy bonus": ("objective.entropy_bonus=0.05",),
    "FP4": ("fp4.format=nvfp4",),
    "two streams": ("mhc.streams=2",),
    "LoopLM": ("loop.count=2",),
    "experts": MOE,
    "DeltaNet": ("delta.pattern=DA", "delta.chunk=4"),
    "squared ReLU": ("model.activation=relu2",),
    "scale groups": ("model.group_size=16",),
    "float matrices": ("model.linear=float",),
    "another schedule": ("schedule.warmup_steps=0",),
}
OFF: dict[str, tuple[str, ...]] = {
    "multi-token prediction of weight 0": ("mtp.horizon=2", "mtp.weight=0", "mtp.final_weight=0"),
    "token filtering that has not begun": ("collider.mode=head", "collider.start_step=99"),
    "FP4 of no operand": ("fp4.format=nvfp4", "fp4.input_gradient=false", "fp4.weight_gradient=false"),
    "GaLore at full rank": ("galore.rank_fraction=1.0",),
    "recomputation": ("training.activation_checkpointing=full",),
    "recomputation in part": ("training.activation_checkpointing=selective",),
    "FIRE that has not come": ("fire.at_step=99",),
}


def check(workshop: Workshop) -> Found:
    count = 5 if workshop.full else 2
    plain = trained("the plain run", count=count)
    again = differing(plain, trained("the plain run", count=count))
    expect(not again, f"the same run again has another {again[:1]}", "the same bits")
    seeded = differing(tiny_model(1).state_dict(), tiny_model(2).state_dict())
    expect(bool(seeded), "another seed draws the same weights", "others")
    for name, sets in ON.items():
        found = trained(name, *sets, count=count)
        expect(
            bool(differing(plain, found, common(plain, found))),
            f"{name} changes no weight in {count} steps",
            "other weights",
        )
    for name, sets in OFF.items():
        moved = differing(plain, train_steps(BASE, *sets, count=count).tensors(), sorted(plain))
        expect(not moved, f"{name} changes {len(moved)} tensors, first {moved[:1]}", "the same bits")
    return Found(
        f"{len(ON)} change the run, {len(OFF)} leave every bit",
        f"weights after {count} steps of a small model each; off, or set so that it has no effect, it is the plain run",
    )


def trained(name: str, *sets: str, count: int) -> dict[str, Tensor]:
    """Weights and optimizer state after the first steps, begun as the plain model is.

    Raises Failed where one is not finite or a step was refused: either makes another run than the plain one.
    """
    trace = train_steps(BASE, *sets, count=count, prepare=partial(begin_alike, begin(BASE).core.state_dict()))
    found = trace.tensors()
    demand_finite(name, found)
    refused = [step for step, result in enumerate(trace.results, 1) if not result.applied]
    expect(not refused, f"{name}: steps {refused} are not applied", "every step applied")
    return found


@torch.no_grad()
def begin_alike(plain: Mapping[str, Tensor], core: Transformer) -> None:
    """Give a model the plain model's weights where it has them too."""
    for name in common(plain, dict(core.named_parameters())):
        core.get_parameter(name).copy_(plain[name])


def common(plain: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> list[str]:
    """Names of the weights that both have, in the same shape."""
    weights = {name: tensor.shape for name, tensor in plain.items() if not name.startswith("optimizer.")}
    return [name for name, shape in weights.items() if name in other and other[name].shape == shape]
