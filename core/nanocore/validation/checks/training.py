"""Check: the real trainer on real text begins at ln V and learns."""

from __future__ import annotations

import math

from nanocore.validation.outcome import Found, expect, within
from nanocore.validation.reference_run import losses, metrics, reference
from nanocore.validation.workshop import Workshop

START = math.log(257)  # of a model that knows nothing, in nats
LEAST_FALL = 1.5


def check(workshop: Workshop) -> Found:
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
        f"{len(curve)} steps of a small ternary model with two dynamic streams, Muon and AdamW, on this Python's library",
    )
