"""Which architecture of llama.cpp computes exactly what a model computes, and why each other one does not.

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


def stock_architecture(config: Config) -> tuple[Architecture | None, dict[str, str]]:
    """The stock architecture that computes this model, or None; and for each that does not, the first reason."""
    refused = {name: reason for name in STOCK if (reason := next(_reasons(config, name), ""))}
    return next((name for name in STOCK if name not in refused), None), refused


def _reasons(config: Config, name: Architecture) -> Iterator[str]:
    yield from _not_plain(config)
    model, experts = config.model, config.moe.experts
    if model.activation != "swiglu":
        yield f"its feed-forward is SwiGLU, not {model.activation}"
    if name in ("qwen3", "hy_v3") and not model.qk_norm:
        yield "it normalises queries and keys, this model does not"
    if name in ("bitnet", "llama") and model.qk_norm:
        yield "it does not normalise queries and keys"
    if (name == "bitnet") != model.sub_norm:
        yield "it has SubLN, this model has not" if name == "bitnet" else "it has no SubLN"
    if (name == "hy_v3") != (experts > 0):
        yield (
            "it has experts, this model has none"
            if name == "hy_v3"
            else "its experts, if any, are weighed by a softmax"
        )
    if name == "hy_v3" and not 2 <= experts <= MOST_EXPERTS:
        yield f"it takes 2 to {MOST_EXPERTS} experts"
    if name == "bitnet" and not model.tie_embeddings:
        yield "its head is always the embedding"
    if name == "bitnet" and model.n_heads * config.head_dim != model.d_model:
        yield "its query heads together are d_model wide"


def _not_plain(config: Config) -> Iterator[str]:
    """What no stock architecture has."""
    if config.mhc.streams > 1:
        yield f"it has one residual stream, this model {config.mhc.streams}"
    if config.loop.count > 1:
        yield "it runs every block once, this model loops (LoopLM)"
    if "D" in config.delta.pattern:
        yield "it has attention in every block, this model DeltaNet layers"
