"""Every parameter of a model by role and shape, counted from the schema alone; exactly those of `Transformer`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import factorial
from typing import Literal

from nanocore.config.layers import has_experts, is_delta, mixes_streams
from nanocore.config.schema import Config
from nanocore.config.techniques import Delta, Mhc, Moe

Role = Literal["matrix", "embedding", "head", "norm", "mixing"]


@dataclass(frozen=True)
class Weight:
    """One parameter tensor. `used` is how many matrices of a stack of experts (E, out, in) a token passes."""

    role: Role
    shape: tuple[int, ...]
    used: int = 0

    @property
    def values(self) -> int:
        return math.prod(self.shape)

    @property
    def active(self) -> int:
        """Values that one token meets."""
        return math.prod(self.shape[1:]) * self.used if self.used else self.values


Weights = Counter[Weight]  # how many there are of each


def weights(config: Config, words: int) -> Weights:
    """All parameters of the model, for a vocabulary of `words` tokens."""
    width = config.model.d_model
    found = Counter({Weight("embedding", (words, width)): 1, Weight("norm", (width,)): 1})
    if not config.model.tie_embeddings:
        found[Weight("head", (words, width))] += 1
    for layer in range(config.model.n_layers):
        found.update(block_weights(config, layer))
    return found + exit_gate(config) + prediction_heads(config)


def trained(config: Config, found: Weights) -> Weights:
    """Those that get gradients: all, or the exit gate alone in LoopLM's second stage."""
    return exit_gate(config) if config.loop.stage == "gate" else found


def total(found: Weights) -> int:
    """How many numbers these parameters hold."""
    return sum(weight.values * times for weight, times in found.items())


def of_role(found: Weights, role: Role) -> Weights:
    """Those of one role."""
    return Counter({weight: times for weight, times in found.items() if weight.role == role})


def exit_gate(config: Config) -> Weights:
    """LoopLM's gate: its norm, one row, and a bias."""
    width = config.model.d_model
    gate = Counter({Weight("norm", (width,)): 1, Weight("mixing", (width,)): 1, Weight("mixing", (1,)): 1})
    return gate if config.loop.count > 1 else Counter()


def prediction_heads(config: Config) -> Weights:
    """The heads of multi-token prediction: a matrix and a norm each, or DeepSeek's modules with a plain block each."""
    width, found = config.model.d_model, Weights()
    if config.mtp.kind == "independent":
        head = Counter({Weight("matrix", (width, width)): 1, Weight("norm", (width,)): 1})
    else:
        head = Counter({Weight("matrix", (width, 2 * width)): 1, Weight("norm", (width,)): 3})
        head.update(block_weights(plain(config), 0))
    for _ in range(config.mtp.horizon):
        found += head
    return found


def plain(config: Config) -> Config:
    """The configuration of the block inside a sequential module: one stream, attention, dense feed-forward."""
    return config.model_copy(update={"mhc": Mhc(), "moe": Moe(), "delta": Delta()})


def block_weights(config: Config, layer: int) -> Weights:
    """The parameters of block `layer`."""
    return Counter(_block(config, layer))


def _block(config: Config, layer: int) -> Iterator[Weight]:
    yield from [Weight("norm", (config.model.d_model,))] * 2
    yield from _delta_net(config) if is_delta(config, layer) else _attention(config)
    yield from _second_part(config, layer)
    yield from _connection(config, 2 * layer)
    yield from _connection(config, 2 * layer + 1)


def feed_forward_weights(config: Config, layer: int) -> Weights:
    """Those of block `layer` behind its second norm: a feed-forward or experts."""
    return Counter(_second_part(config, layer))


def _second_part(config: Config, layer: int) -> Iterator[Weight]:
    return _experts(config) if has_experts(config, layer) else _feed_forward(config, config.model.d_ff)


def _attention(config: Config) -> Iterator[Weight]:
    model, width = config.model, config.model.d_model
    inner, keys = model.n_heads * config.head_dim, model.n_kv_heads * config.head_dim
    for shape in ((inner, width), (keys, width), (keys, width), (width, inner)):
        yield Weight("matrix", shape)
    yield from [Weight("norm", (config.head_dim,))] * (2 * model.qk_norm)
    yield from [Weight("norm", (inner,))] * model.sub_norm


def delta_heads(config: Config) -> tuple[int, int]:
    """Heads of a DeltaNet layer and the width of one."""
    return config.delta.n_heads or config.model.n_heads, config.delta.head_dim or config.head_dim


def _delta_net(config: Config) -> Iterator[Weight]:
    width, delta, (heads, head_dim) = config.model.d_model, config.delta, delta_heads(config)
    inner = heads * head_dim
    yield from [Weight("matrix", (inner, width))] * (3 + delta.gated)
    yield Weight("matrix", (width, inner))
    yield Weight("norm", (head_dim,))
    yield Weight("mixing", (heads, width))
    if delta.gated:
        yield Weight("mixing", (heads, width))
        yield from [Weight("mixing", (heads,))] * 2
    if delta.conv:
        yield Weight("mixing", (3 * inner, delta.conv))


def feed_forward_shapes(config: Config, d_ff: int) -> list[tuple[int, int]]:
    """(out, in) of gate, up and down; squared ReLU has no gate."""
    width = config.model.d_model
    return [(d_ff, width)] * (2 if config.model.activation == "swiglu" else 1) + [(width, d_ff)]


def _feed_forward(config: Config, d_ff: int) -> Iterator[Weight]:
    for shape in feed_forward_shapes(config, d_ff):
        yield Weight("matrix", shape)
    yield from [Weight("norm", (d_ff,))] * config.model.sub_norm


def expert_width(config: Config) -> int:
    """Hidden width of one expert."""
    return config.moe.d_expert or config.model.d_ff


def _experts(config: Config) -> Iterator[Weight]:
    moe, d_ff = config.moe, expert_width(config)
    yield Weight("mixing", (moe.experts, config.model.d_model))
    for shape in feed_forward_shapes(config, d_ff):
        yield Weight("matrix", (moe.experts, *shape), moe.active)
    yield from [Weight("norm", (d_ff,))] * config.model.sub_norm
    if moe.shared:
        yield from _feed_forward(config, moe.shared * d_ff)


def residual_logits(config: Config) -> int:
    """Logits of one residual map: a weight for each permutation, or the matrix's entries."""
    streams = config.mhc.streams
    return factorial(streams) if config.mhc.kind == "lite" else streams**2


def _connection(config: Config, sub_layer: int) -> Iterator[Weight]:
    streams = config.mhc.streams
    if streams == 1:
        return
    sizes = [streams, streams] + [residual_logits(config)] * mixes_streams(config, sub_layer)
    for size in sizes:
        yield Weight("mixing", (size,))
    if config.mhc.dynamic:
        yield Weight("mixing", (sum(sizes), streams * config.model.d_model))
        yield Weight("mixing", (len(sizes),))
