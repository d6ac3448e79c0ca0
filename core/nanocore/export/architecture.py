"""Which architecture of llama.cpp computes exactly what a model computes, and why none does.

Read off llama.cpp's src/models. All stock ones are plain decoders: one residual stream, every block once, attention in
every block, one epsilon for all norms, rotary positions over the whole head.

| architecture | beside that                                                                                        |
|--------------|----------------------------------------------------------------------------------------------------|
| qwen3        | SwiGLU, norms on queries and keys                                                                  |
| hy_v3        | as qwen3, with experts in any blocks: sigmoid scores, a bias on the choice, shared experts         |
| bitnet       | SwiGLU, SubLN, no norms on queries and keys, head tied, all query heads together d_model wide      |
| llama        | SwiGLU, no norms on queries and keys; rotary positions turn neighbouring rows, so rows are reordered |

qwen3moe is not among them: it weighs experts by a softmax, our router by normalised sigmoids.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from nanocore.config.schema import Config

Architecture = Literal["qwen3", "hy_v3", "bitnet", "llama", "nanoconsole"]
STOCK: tuple[Architecture, ...] = ("qwen3", "hy_v3", "bitnet", "llama")
MOST_EXPERTS = 512  # of llama.cpp until its LLAMA_MAX_EXPERTS became 1024
ZERO_EXPERT_WIDTH = 256


def zero_expert_width(config: Config) -> int:
    """Width of the shared expert of zeros that a hy_v3 file has for a model without shared experts."""
    return max(ZERO_EXPERT_WIDTH, config.model.group_size)


def stock_architecture(config: Config) -> tuple[Architecture | None, str]:
    """The stock architecture that computes this model and "", or None and the first reason why none does."""
    name = _nearest(config)
    reason = next(_reasons(config, name), "")
    return (None, reason) if reason else (name, "")


def _nearest(config: Config) -> Architecture:
    """The one that has the parts that only one has: no other can compute the model."""
    if config.moe.experts:
        return "hy_v3"
    if config.model.sub_norm:
        return "bitnet"
    return "qwen3" if config.model.qk_norm else "llama"


def _reasons(config: Config, name: Architecture) -> Iterator[str]:
    yield from _not_plain(config)
    model, experts = config.model, config.moe.experts
    if name == "hy_v3" and not model.qk_norm:
        yield "hy_v3, the one for such experts, normalises queries and keys (model.qk_norm)"
    if name == "hy_v3" and model.sub_norm:
        yield "hy_v3, the one for such experts, has no SubLN (model.sub_norm)"
    if name == "hy_v3" and not 2 <= experts <= MOST_EXPERTS:
        yield f"hy_v3, the one for such experts, takes 2 to {MOST_EXPERTS} of them (moe.experts)"
    if name == "bitnet" and model.qk_norm:
        yield "bitnet, the one with SubLN, does not normalise queries and keys (model.qk_norm)"
    if name == "bitnet" and not model.tie_embeddings:
        yield "bitnet, the one with SubLN, always has the embedding as head (model.tie_embeddings)"
    if name == "bitnet" and model.n_heads * config.head_dim != model.d_model:
        yield "bitnet, the one with SubLN, has query heads that together are d_model wide (model.head_dim)"


def _not_plain(config: Config) -> Iterator[str]:
    """What no stock architecture has."""
    if config.mhc.streams > 1:
        yield f"stock architectures have one residual stream, this model {config.mhc.streams} (mhc.streams)"
    if config.loop.count > 1:
        yield "stock architectures run every block once, this model loops (loop.count)"
    if "D" in config.delta.pattern:
        yield "stock architectures have attention in every block, this model DeltaNet layers (delta.pattern)"
    if config.model.activation != "swiglu":
        yield f"stock architectures have SwiGLU, this model {config.model.activation} (model.activation)"
