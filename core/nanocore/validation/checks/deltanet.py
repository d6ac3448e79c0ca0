"""Check: the delta rule by chunks, with decay and documents, against the recurrence written out in float64."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nanocore.model.delta_rule import chunked
from nanocore.validation.compare import error
from nanocore.validation.outcome import Found, within
from nanocore.validation.tiny import random_tokens, tiny_model
from nanocore.validation.workshop import Workshop

ROWS, TOKENS, HEADS, WIDTH = 2, 21, 2, 6
EXACT = 1e-9


def check(_: Workshop) -> Found:
    worst = max(_rule(decayed, chunk) for decayed in (True, False) for chunk in (4, 8, 64))
    worst = max(worst, _cached())
    return Found(
        f"chunks of 4, 8 and 64, worst error {worst:.1e}",
        "outputs and memory, with and without decay, over document borders; and token by token with a cache",
    )


def _rule(decayed: bool, chunk: int) -> float:
    generator = torch.Generator().manual_seed(chunk)
    q, k, v = (torch.randn((ROWS, TOKENS, HEADS, WIDTH), dtype=torch.float64, generator=generator) for _ in range(3))
    q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
    beta, log_decay = (torch.rand((ROWS, TOKENS, HEADS), dtype=torch.float64, generator=generator) for _ in range(2))
    documents = (torch.arange(TOKENS) >= 13).long().expand(ROWS, -1)
    decay = -log_decay if decayed else None
    found, memory = chunked(q, k, v, beta, decay, chunk=chunk, documents=documents)
    exact, state = _recurrence(q, k, v, beta, decay, documents)
    what = f"chunks of {chunk}, {'decay' if decayed else 'no decay'}"
    within(f"{what}: memory, error", error(memory, state), EXACT)
    return within(f"{what}: outputs, error", error(found, exact), EXACT)


def _recurrence(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor | None, documents: Tensor
) -> tuple[Tensor, Tensor]:
    """S = e^g S; S = S + k beta (v - S^T k)^T; o = S^T q; a document begins with S = 0."""
    state, found = torch.zeros(ROWS, HEADS, WIDTH, WIDTH, dtype=torch.float64), []
    for t in range(TOKENS):
        if t and int(documents[0, t]) != int(documents[0, t - 1]):
            state = torch.zeros_like(state)
        state = state * log_decay[:, t, :, None, None].exp() if log_decay is not None else state
        seen = torch.einsum("bhkv,bhk->bhv", state, k[:, t])
        change = (v[:, t] - seen) * beta[:, t, :, None]
        state = state + torch.einsum("bhk,bhv->bhkv", k[:, t], change)
        found.append(torch.einsum("bhkv,bhk->bhv", state, q[:, t]))
    return torch.stack(found, 1), state


@torch.no_grad()
def _cached() -> float:
    """A model with such layers reads the same alone, and token after token."""
    model = tiny_model(8, "delta.pattern=DA", "delta.chunk=4").double()
    tokens, cache = random_tokens(1, 11), model.new_cache(1, 11)
    parts = [model(tokens[:, place : place + 1], cache=cache) for place in range(11)]
    return within("token after token with a cache, error", error(torch.cat(parts, 1), model(tokens)), EXACT)
