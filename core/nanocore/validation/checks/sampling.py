"""Check: draws have their probabilities and follow their seed, and filters keep what they say."""

from __future__ import annotations

import torch
from torch import Tensor

from nanocore.infer.engine import Engine
from nanocore.infer.request import Request
from nanocore.infer.sampler import Sampler, Sampling
from nanocore.model.bitlinear import freeze
from nanocore.validation.outcome import Found, expect, within
from nanocore.validation.tiny import BYTES, tiny_model
from nanocore.validation.workshop import Workshop

LOGITS = torch.tensor([2.0, 1.0, 0.5, 0.0, -1.0, -3.0], dtype=torch.float64)
TEMPERATURE, DRAWS, STANDARD_ERRORS = 0.8, 2000, 4.0
TOKENS, SEEDS = 10, (1, 2)


def check(_: Workshop) -> Found:
    off = _frequencies()
    _filters()
    texts = _seeds()
    return Found(
        f"{DRAWS} draws within {off:.1f} standard errors, {texts} texts for {len(SEEDS)} seeds",
        "frequencies against softmax(logits / 0.8); the same seed gives the same text twice; top-k, top-p, min-p, temperature 0",
    )


def _frequencies() -> float:
    sampler, probabilities = Sampler(Sampling(temperature=TEMPERATURE, seed=5)), (LOGITS / TEMPERATURE).softmax(0)
    drawn = torch.tensor([sampler.pick(LOGITS) for _ in range(DRAWS)])
    counts = drawn.bincount(minlength=len(LOGITS)).double()
    error = (probabilities * (1 - probabilities) * DRAWS).sqrt()
    off = float(((counts - probabilities * DRAWS).abs() / error).max())
    return within("frequency of a token, standard errors off", off, STANDARD_ERRORS)


def _kept(sampling: Sampling) -> list[int]:
    found: Tensor = Sampler(sampling).distribution(LOGITS)
    return found.nonzero().flatten().tolist()


def _filters() -> None:
    sums = (LOGITS / TEMPERATURE).softmax(0).cumsum(0)
    nucleus = int((sums < 0.9).sum()) + 1  # the fewest whose probabilities reach 0.9
    wanted = {
        "top-k 3": (Sampling(temperature=TEMPERATURE, top_k=3), [0, 1, 2]),
        "top-p 0.9": (Sampling(temperature=TEMPERATURE, top_p=0.9), list(range(nucleus))),
        "min-p 0.3": (
            Sampling(temperature=1.0, min_p=0.3),
            [0, 1],
        ),  # exp(-1) = 0.37 and exp(-1.5) = 0.22 of the likeliest
        "temperature 0": (Sampling(temperature=0.0), [0]),
    }
    for name, (sampling, exact) in wanted.items():
        kept = _kept(sampling)
        expect(kept == exact, f"{name} keeps {kept}", f"{exact}")
    penalised = Sampler(Sampling(temperature=1.0, repetition_penalty=2.0)).distribution(LOGITS, [0, 4])
    exact = torch.tensor([1.0, 1.0, 0.5, 0.0, -2.0, -3.0], dtype=torch.float64).softmax(0)
    within("distribution with a repetition penalty, error", float((penalised - exact).abs().max()), 1e-12)


def _seeds() -> int:
    """How many different texts the seeds give; each twice the same."""
    model = tiny_model(3, "mhc.streams=1")
    freeze(model)
    engine = Engine(model, BYTES)

    def text(seed: int) -> tuple[int, ...]:
        request = Request(tokens=TOKENS, sampling=Sampling(temperature=1.0, seed=seed))
        return engine.generate("def ", request).finished().tokens

    first, second = {seed: text(seed) for seed in SEEDS}, {seed: text(seed) for seed in SEEDS}
    changed = [seed for seed in SEEDS if first[seed] != second[seed]]
    expect(not changed, f"seed {changed[:1]} gives another text the second time", "the same text")
    different = len(set(first.values()))
    expect(different == len(SEEDS), f"{different} texts for {len(SEEDS)} seeds", "one for each")
    return different
