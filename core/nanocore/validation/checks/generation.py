"""Check: greedy generation with a cache writes the text that a full forward for every token writes.

In float64, where two orders of summation cannot change which token is the likeliest. The text is longer than the
context, so the window that begins anew is checked too.
"""

from __future__ import annotations

from itertools import zip_longest

import torch

from nanocore.infer.engine import Engine
from nanocore.infer.request import Request
from nanocore.infer.sampler import Sampling
from nanocore.model.bitlinear import freeze
from nanocore.model.transformer import Transformer
from nanocore.validation.outcome import Found, expect
from nanocore.validation.tiny import BYTES, tiny_model
from nanocore.validation.workshop import Workshop

MODELS: dict[str, tuple[str, ...]] = {
    "grouped heads": (),
    "four dynamic streams": ("mhc.streams=4", "mhc.dynamic=true", "model.n_kv_heads=1"),
    "a loop": ("mhc.streams=1", "loop.count=2"),
}
PROMPT, CONTEXT, TOKENS, LONG = "x = 1\n", 16, 14, 120


def check(workshop: Workshop) -> Found:
    compared = sum(_model(name, sets, LONG if workshop.full else TOKENS) for name, sets in MODELS.items())
    met = f"{', '.join(MODELS)}: greedy, past the end of a context of {CONTEXT} tokens"
    return Found(f"{compared} tokens equal", met)


def _model(name: str, sets: tuple[str, ...], count: int) -> int:
    model = tiny_model(3, *sets, f"model.context_length={CONTEXT}").double()
    freeze(model)  # as text is generated: quantised once
    engine, request = Engine(model, BYTES), Request(tokens=count, sampling=Sampling(temperature=0.0))
    cached, full = list(engine.generate(PROMPT, request).finished().tokens), _without_cache(model, PROMPT, count)
    place = next((at for at, (one, two) in enumerate(zip_longest(cached, full)) if one != two), None)
    told = f"{name}: after {PROMPT!r}, token {place} differs: {cached[: (place or 0) + 1]}"
    expect(place is None, told, f"{full[:8]} ...")
    return len(full)


@torch.no_grad()
def _without_cache(model: Transformer, prompt: str, count: int) -> list[int]:
    """The likeliest tokens, the whole window read for each; a full window goes on with its newer half."""
    room = model.config.model.context_length
    window, drawn = [BYTES.bos, *BYTES.encode(prompt).tolist()], []
    while len(drawn) < count:
        token = int(model.logits(model(torch.tensor([window]))[0, -1]).argmax())
        if token == BYTES.bos:
            break
        drawn.append(token)
        window = [*(window if len(window) < room else window[-(room // 2) :]), token]
    return drawn
