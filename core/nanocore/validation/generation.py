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
from nanocore.model.transformer import Transformer
from nanocore.validation.outcome import Found, expect
from nanocore.validation.tiny import BYTES, tiny_model

PROMPTS, TOKENS = ("def f", "x = 1\n"), 32


def generation() -> Found:
    model = tiny_model(3).double()
    engine, request = Engine(model, BYTES), Request(tokens=TOKENS, sampling=Sampling(temperature=0.0))
    compared = 0
    for prompt in PROMPTS:
        cached, full = list(engine.generate(prompt, request).finished().tokens), _without_cache(model, prompt)
        place = next((at for at, (one, two) in enumerate(zip_longest(cached, full)) if one != two), None)
        expect(
            place is None, f"after {prompt!r}, token {place} differs: {cached[: (place or 0) + 1]}", f"{full[:8]} ..."
        )
        compared += len(full)
    return Found(
        f"{compared} tokens equal", f"{len(PROMPTS)} prompts, greedy, past the end of a full context, in float64"
    )


@torch.no_grad()
def _without_cache(model: Transformer, prompt: str) -> list[int]:
    """The likeliest tokens, the whole window read for each; a full window goes on with its newer half."""
    room = model.config.model.context_length
    window, drawn = [BYTES.bos, *BYTES.encode(prompt).tolist()], []
    while len(drawn) < TOKENS:
        token = int(model.logits(model(torch.tensor([window]))[0, -1]).argmax())
        if token == BYTES.bos:
            break
        drawn.append(token)
        window = [*(window if len(window) < room else window[-(room // 2) :]), token]
    return drawn
