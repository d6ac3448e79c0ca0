"""Check: nothing later and no other document reaches an output, and grouped heads read the right keys and values."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nanocore.model.attention import Attention
from nanocore.model.rotary import Rotation, rotate
from nanocore.model.transformer import Transformer
from nanocore.validation.compare import error
from nanocore.validation.outcome import Found, expect, within
from nanocore.validation.tiny import random_tokens, tiny_model
from nanocore.validation.workshop import Workshop

VARIANTS: dict[str, tuple[str, ...]] = {
    "attention": (),
    "four streams": ("mhc.streams=4", "mhc.dynamic=true"),
    "DeltaNet": ("delta.pattern=DA", "delta.chunk=4"),
    "experts": ("moe.experts=4", "moe.active=2", "moe.d_expert=16"),
    "a loop": ("loop.count=2",),
}
TOKENS, CHANGED = 12, 7
EXACT = 1e-12  # in float64


@torch.no_grad()
def check(_: Workshop) -> Found:
    for name, sets in VARIANTS.items():
        model = tiny_model(2, *sets).double()
        _no_later_token(name, model)
        _no_other_document(name, model)
    worst = max(_heads(kv_heads) for kv_heads in (1, 2, 4))
    _positions(tiny_model(2).double())
    return Found(
        f"{len(VARIANTS)} kinds of layer, worst head error {worst:.1e}",
        f"with {', '.join(VARIANTS)}: tokens see what is before them in their document; 4 query heads on 1, 2 and 4 others",
    )


def _no_later_token(name: str, model: Transformer) -> None:
    tokens = random_tokens(2, TOKENS)
    other = tokens.clone()
    other[:, CHANGED:] = (other[:, CHANGED:] + 1) % 41
    before, after = model(tokens), model(other)
    reached = error(after[:, :CHANGED], before[:, :CHANGED])
    expect(reached <= EXACT, f"{name}: a later token moves an earlier output by {reached:.1g}", "no change at all")
    moved = float((after[:, CHANGED:] - before[:, CHANGED:]).abs().amax(dim=-1).min())
    expect(moved > 0, f"{name}: changed tokens leave an output behind them as it was", "a change in each")


def _no_other_document(name: str, model: Transformer) -> None:
    """Two documents in a row must be what they are apart."""
    first, second = random_tokens(1, 5, 1), random_tokens(1, 6, 2)
    documents = torch.tensor([[0] * 5 + [1] * 6])
    positions = torch.tensor([[*range(5), *range(6)]])
    together = model(torch.cat((first, second), 1), positions=positions, documents=documents)
    apart = torch.cat((model(first), model(second)), 1)
    difference = error(together, apart)
    expect(difference <= EXACT, f"{name}: another document moves an output by {difference:.1g}", "documents apart")


def _heads(kv_heads: int) -> float:
    """One layer in float weights and float64, against softmax(q k^T / sqrt(d)) v head by head."""
    model = tiny_model(4, "model.linear=float", f"model.n_kv_heads={kv_heads}", "mhc.streams=1").double()
    layer, x = model.blocks[0].attention, torch.randn((1, TOKENS, 32), dtype=torch.float64, generator=_seeded())
    assert isinstance(layer, Attention)
    context = model.context(torch.zeros(1, TOKENS, dtype=torch.long), None, None)
    query, key, value = (x @ each.weight.mT for each in (layer.query, layer.key, layer.value))
    query, key = (
        _turned(layer, *pair, context.rotation) for pair in ((query, layer.query_norm), (key, layer.key_norm))
    )
    value, share = value.unflatten(-1, (kv_heads, -1)), 4 // kv_heads
    heads = [_head(query[0, :, h], key[0, :, h // share], value[0, :, h // share]) for h in range(4)]
    exact = torch.cat(heads, dim=-1) @ layer.output.weight.mT
    return within(f"4 query heads on {kv_heads}: relative error", error(layer(x, context)[0], exact), EXACT)


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def _turned(layer: Attention, x: Tensor, norm: torch.nn.Module, rotation: Rotation) -> Tensor:
    return rotate(norm(x.unflatten(-1, (-1, layer.head_dim))), rotation)


def _head(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    later = torch.ones_like(scores, dtype=torch.bool).triu(1)
    return scores.masked_fill(later, -torch.inf).softmax(-1) @ value


def _positions(model: Transformer) -> None:
    """Pair i turns by position * theta^(-2i / d), and distances alone count: a text moved as a whole has the same outputs."""
    width, found = model.config.head_dim, model.context(random_tokens(1, TOKENS), None, None).rotation
    rates = model.config.model.rope_theta ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = torch.arange(TOKENS, dtype=torch.float64)[:, None] * rates  # (T, width / 2)
    pairs = ((found.cos, angles.cos()), (found.sin, angles.sin()))
    off = max(error(each[..., width // 2 :].view_as(angles), exact) for each, exact in pairs)
    within("angles of the positions, error", off, 1e-6)
    tokens = random_tokens(1, TOKENS)
    later = model(tokens, positions=torch.arange(9, 9 + TOKENS)[None])
    within("outputs of a text that begins at position 9, difference", error(later, model(tokens)), 1e-9)
    apart = model(tokens, positions=torch.arange(0, 2 * TOKENS, 2)[None])
    moved = error(apart, model(tokens))
    expect(1e-6 < moved < math.inf, f"twice the distances move an output by {moved:.1g}", "other outputs, all finite")
