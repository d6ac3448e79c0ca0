"""Check: every technique is live when it is on, and costs no bit when it has no effect; by the trainer's own step."""

from __future__ import annotations

from nanocore.validation.compare import differing
from nanocore.validation.outcome import Found, expect
from nanocore.validation.steps import train_steps
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
    plain = train_steps(BASE, count=count).tensors()
    again = differing(plain, train_steps(BASE, count=count).tensors())
    expect(not again, f"the same run again has another {again[:1]}", "the same bits")
    seeded = differing(tiny_model(1).state_dict(), tiny_model(2).state_dict())
    expect(bool(seeded), "another seed draws the same weights", "others")
    for name, sets in ON.items():
        found = train_steps(BASE, *sets, count=count).tensors()
        common = [each for each in plain.keys() & found.keys() if not each.startswith("optimizer.")]
        expect(bool(differing(plain, found, common)), f"{name} changes no weight in {count} steps", "other weights")
    for name, sets in OFF.items():
        moved = differing(plain, train_steps(BASE, *sets, count=count).tensors(), sorted(plain))
        expect(not moved, f"{name} changes {len(moved)} tensors, first {moved[:1]}", "the same bits")
    return Found(
        f"{len(ON)} change the run, {len(OFF)} leave every bit",
        f"weights after {count} steps of a small model each; off, or set so that it has no effect, it is the plain run",
    )
