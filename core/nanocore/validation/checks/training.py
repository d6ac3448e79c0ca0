"""Check: the real trainer on real text begins at ln V and learns, and what looks on changes nothing."""

from __future__ import annotations

import math

from nanocore.runs.layout import RunFolder
from nanocore.validation.compare import differing
from nanocore.validation.outcome import Found, expect, within
from nanocore.validation.reference_run import losses, metrics, reference, saved, train
from nanocore.validation.workshop import Workshop

START = math.log(257)  # of a model that knows nothing, in nats
LEAST_FALL = 1.5
SEEN = ("evaluation.every=1", "evaluation.sample_every=1")
UNSEEN = ("evaluation.every=0", "evaluation.sample_every=0")
OTHERS = ("training.steps=2", "mhc.dynamic=true", "moe.experts=2", "moe.active=1", "moe.bias_rate=0.05")


def check(workshop: Workshop) -> Found:
    _looked_at(workshop)
    run = reference(workshop)
    curve = losses(run)
    first, last = curve[1], sum(curve[step] for step in sorted(curve)[-5:]) / 5
    within("the first loss off ln 257 = 5.55", abs(first - START), 0.02 * START)
    expect(
        first - last >= LEAST_FALL, f"from {first:.2f} to {last:.2f} in {len(curve)} steps", f"{LEAST_FALL} nats less"
    )
    measured = [record for record in metrics(run) if "eval/ce" in record]
    for record in measured:  # each scored token is a byte here
        off = abs(record["eval/bits_per_byte"] - record["eval/ce"] / math.log(2))
        within(f"step {record['step']}: held-out bits per byte off the loss / ln 2", off, 1e-9)
    held = [record["eval/ce"] for record in measured]
    expect(held[0] > held[-1], f"held-out loss from {held[0]:.2f} to {held[-1]:.2f}", "less at the end")
    fall = START - held[-1]
    expect(fall >= LEAST_FALL, f"held-out loss {held[-1]:.2f} at the end", f"{LEAST_FALL} nats below ln 257")
    return Found(
        f"loss {first:.2f} to {last:.2f}, held-out {held[-1]:.2f} nats",
        f"{len(curve)} steps of a small ternary model with two dynamic streams, Muon and AdamW, on this Python's library; "
        "evaluations and samples leave weights and optimizer state as they are",
    )


def _looked_at(workshop: Workshop) -> None:
    """A run with an evaluation and a sample after each step ends with the bits of one without: experts' counts and all."""

    def trained(name: str, *sets: str) -> RunFolder:
        run = workshop.new_run(name, *OTHERS, *sets)
        train(run)
        return run

    seen, unseen = trained("seen", *SEEN), trained("unseen", *UNSEEN)
    count = sum("eval/ce" in record for record in metrics(seen))
    expect(count == 2, f"{count} evaluations in a run of two steps with one after each", "2")
    moved = differing(saved(seen), saved(unseen))
    expect(
        not moved,
        f"evaluations and samples changed {len(moved)} tensors, first {moved[:1]}",
        "every tensor bit for bit",
    )
