"""The tensors of a GGUF file, one by one: writer and reader go by the same list, so what one writes the other expects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from nanocore.config.layers import has_experts
from nanocore.config.schema import Config
from nanocore.export.architecture import Architecture, zero_expert_width
from nanocore.export.names import gguf_name
from nanocore.model.bitlinear import TernaryModule
from nanocore.model.transformer import Transformer

Role = Literal["ternary", "embedding", "float"]


@dataclass(frozen=True)
class Slot:
    """One tensor of the file: its name there, its shape (slowest dimension first), and what fills it.

    `sources` are names in the model's state, several where they stand one after another in the tensor, `lengths` rows
    each; none for a matrix of zeros that the architecture asks for. `heads`: rows are reordered for rotary positions
    in pairs.
    """

    name: str
    sources: tuple[str, ...]
    shape: tuple[int, ...]
    role: Role
    lengths: tuple[int, ...] = ()
    heads: int = 0


def slots(config: Config, vocab_size: int, architecture: Architecture) -> list[Slot]:
    """Every tensor of the file, without scales, in the order of the model's state."""
    with torch.device("meta"):
        model = Transformer(config, vocab_size)
    ternary = ternary_names(model)
    found: dict[str, Slot] = {}
    for name, tensor in model.state_dict().items():
        if name.startswith("prediction_heads.") and architecture != "nanoconsole":
            continue
        place = gguf_name(name, config)
        if place in found:  # logits of stream maps
            slot, length = found[place], len(tensor)
            shape, lengths = (slot.shape[0] + length,), (*slot.lengths, length)
            found[place] = Slot(place, (*slot.sources, name), shape, "float", lengths)
            continue
        heads = _heads(name, config) if architecture == "llama" else 0
        found[place] = Slot(place, (name,), tuple(tensor.shape), _role(name, ternary), (len(tensor),), heads)
    return [*found.values(), *(_zero_experts(config) if architecture == "hy_v3" and not config.moe.shared else ())]


def ternary_names(model: Transformer) -> set[str]:
    """Names of the ternary matrices in the model's state."""
    return {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, TernaryModule)}


def _role(name: str, ternary: set[str]) -> Role:
    if name in ternary:
        return "ternary"
    return "embedding" if name in ("embedding.weight", "head.weight") else "float"


def _heads(name: str, config: Config) -> int:
    """Heads whose rows turn in rotary positions, of a projection to queries or keys."""
    if name.endswith("attention.query.weight"):
        return config.model.n_heads
    return config.model.n_kv_heads if name.endswith("attention.key.weight") else 0


def _zero_experts(config: Config) -> list[Slot]:
    """hy_v3 always adds a shared expert; one of zeros adds exactly nothing."""
    model, role = config.model, "ternary" if config.model.linear == "ternary" else "float"
    width = zero_expert_width(config)
    shapes = {"gate": (width, model.d_model), "up": (width, model.d_model), "down": (model.d_model, width)}
    layers = [layer for layer in range(model.n_layers) if has_experts(config, layer)]
    return [
        Slot(f"blk.{layer}.ffn_{name}_shexp.weight", (), shape, role)
        for layer in layers
        for name, shape in shapes.items()
    ]
