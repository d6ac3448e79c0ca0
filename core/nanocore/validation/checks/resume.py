"""Check: a run taken back to the checkpoint in its middle ends as it did, for every technique that keeps a state."""

from __future__ import annotations

import shutil

from nanocore.checkpoint.manifest import step_folder
from nanocore.runs.layout import RunFolder
from nanocore.validation.compare import differing
from nanocore.validation.outcome import Found, expect
from nanocore.validation.reference_run import losses, saved, train
from nanocore.validation.workshop import Workshop

MIDDLE, END = 3, 6
STATES = (
    "optimizer.state=int8", "optimizer.stochastic_rounding=true", "galore.rank_fraction=0.25", "galore.refresh_every=2",
    "mtp.horizon=1", "mhc.dynamic=true", "moe.experts=2", "moe.active=1", "moe.bias_rate=0.05", "delta.pattern=DA",
    "delta.chunk=8", "data.workers=1",
)  # fmt: skip
MORE = {  # with --full
    "fp4": ("fp4.format=nvfp4", "optimizer.state=int8-dynamic", "training.accumulation=2", "loop.count=2"),
    "collider": ("collider.mode=full", "collider.start_step=2", "galore.rank_fraction=0.5", "galore.projector=int4"),
    "lion": ("optimizer.matrices=lion", "optimizer.others=lion", "mhc.kind=sinkhorn", "fire.at_step=2"),
}


def check(workshop: Workshop) -> Found:
    cases = {"states": STATES, **(MORE if workshop.full else {})}
    every = (f"training.steps={END}", f"checkpoint.every={MIDDLE}")
    count = sum(_case(workshop.new_run(f"resume-{name}", *sets, *every)) for name, sets in cases.items())
    others = f"; {', '.join(MORE)}" if workshop.full else ""
    return Found(
        f"{count} tensors the same bits",
        f"steps {MIDDLE + 1} to {END} again, and their losses: 8-bit stochastic GaLore, dynamic streams, further tokens, "
        f"experts, DeltaNet{others}",
    )


def _case(run: RunFolder) -> int:
    train(run)
    whole, curve = saved(run), losses(run)
    shutil.rmtree(step_folder(run.checkpoints_dir, END))
    train(run)
    again = losses(run)
    wrong = next((step for step in curve if again.get(step) != curve[step]), None)
    expect(
        wrong is None,
        f"{run.name}: step {wrong} has loss {again.get(wrong or 0)}",
        f"{curve.get(wrong or 0)}, as before",
    )
    moved = differing(whole, saved(run))
    expect(not moved, f"{run.name}: {len(moved)} tensors differ, first {moved[:1]}", "every tensor bit for bit")
    return len(whole)
