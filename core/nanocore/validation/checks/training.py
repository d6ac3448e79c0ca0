"""Check: the real trainer on real text begins at ln V and learns, and what looks on changes nothing and tells the truth."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F

from nanocore.data.batch import make_batch
from nanocore.data.prepare import prepare
from nanocore.infer.load import load_model
from nanocore.runs.layout import RunFolder, cache_root
from nanocore.validation.compare import differing
from nanocore.validation.outcome import Found, expect, within
from nanocore.validation.reference_run import losses, metrics, newest, reference, saved, train
from nanocore.validation.steps import as_micro
from nanocore.validation.workshop import Workshop

START = math.log(257)  # of a model that knows nothing, in nats
LEAST_FALL = 1.5
ROUNDING = 1e-3  # of the mean loss of a ternary model, computed twice
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
    _held_out(run, held[-1])
    return Found(
        f"loss {first:.2f} to {last:.2f}, held-out {held[-1]:.2f} nats",
        f"{len(curve)} steps of a small ternary model with two dynamic streams, Muon and AdamW, on this Python's library; "
        "evaluations and samples leave weights and optimizer state as they are; the held-out loss is the saved model's",
    )


@torch.no_grad()
def _held_out(run: RunFolder, told: float) -> None:
    """The last held-out loss of the run is what the model it saved has on the text it did not train on."""
    model, tokenizer, config = load_model(newest(run))
    text, width = prepare(config.data, cache=cache_root()).validation.tokens, config.model.context_length
    count = min(config.evaluation.tokens, len(text) - 1) // width
    rows = np.stack([text[row * width : (row + 1) * width + 1] for row in range(count)])
    micro = as_micro(make_batch(rows, bos=tokenizer.bos, isolate_documents=config.data.isolate_documents))
    logits = model.logits(model(micro.tokens, positions=micro.positions, documents=micro.documents))
    scored = micro.targets.masked_fill(micro.targets == tokenizer.bos, -1)  # a border is no text
    exact = float(F.cross_entropy(logits.flatten(0, 1), scored.flatten(), ignore_index=-1))
    within(f"held-out loss {told:.4f}, off the saved model's on held-out text", abs(told - exact), ROUNDING)


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
