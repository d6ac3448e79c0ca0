"""The keys of a GGUF file that say what the model is. llama.cpp's names where it has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from gguf import GGMLQuantizationType as Type
from gguf import LlamaFileType

from nanocore.config.schema import Config
from nanocore.config.sections import About
from nanocore.export.architecture import Architecture, zero_expert_width
from nanocore.export.report import Facts
from nanocore.export.sealed import HASH_KEY, SCHEMA_KEY
from nanocore.model.hyper_connections import EPS
from nanocore.model.residual_maps import SINKHORN_STEPS
from nanocore.seal import ZEROS

SCHEMA = 2
CONFIG_KEY, TOKENIZER_KEY = "nanoconsole.config", "nanoconsole.tokenizer"
FILE_TYPES = {  # llama.cpp's numbers for "mostly" these
    Type.TQ1_0: LlamaFileType.MOSTLY_TQ1_0,
    Type.TQ2_0: LlamaFileType.MOSTLY_TQ2_0,
    Type.Q4_0: LlamaFileType.MOSTLY_Q4_0,
    Type.F16: LlamaFileType.MOSTLY_F16,
}
SIGMOID = 2  # llama.cpp's number of the experts' gating function
TECHNIQUES = ("mhc", "loop", "moe", "delta", "mtp")


def file_type(ternary: Mapping[Type, int]) -> int:
    """llama.cpp's number of the type that holds most ternary weights, counted by type; without any, that of float32."""
    if not ternary:
        return int(LlamaFileType.ALL_F32)
    return int(FILE_TYPES[max(ternary, key=lambda kind: ternary[kind])])


def general_keys(facts: Facts, architecture: Architecture, ternary: Mapping[Type, int]) -> dict[str, Any]:
    """What every GGUF file says of itself, the place of its hash first; figures of the training under names of ours.

    `ternary` counts ternary weights by the type that holds them.
    """
    keys: dict[str, Any] = {
        "general.architecture": architecture,
        SCHEMA_KEY: SCHEMA,
        HASH_KEY: ZEROS.decode(),  # until the whole file is there; see `sealed`
        "general.type": "model",
        "general.name": facts.name,
        "general.license": facts.license,
        "general.description": facts.description,
        "general.quantized_by": "nanoconsole",
        "general.quantization_version": 2,
        "general.file_type": file_type(ternary),
    }
    return keys | {f"nanoconsole.training.{key}": value for key, value in facts.figures.items()}


def model_keys(config: Config, vocab_size: int, architecture: Architecture) -> dict[str, Any]:
    """Shape and parts, as llama.cpp's loader asks for them, plus those of techniques that only we run."""
    model, width = config.model, config.head_dim
    keys: dict[str, Any] = {
        "context_length": model.context_length,
        "embedding_length": model.d_model,
        "block_count": model.n_layers,
        "feed_forward_length": model.d_ff,
        "attention.head_count": model.n_heads,
        "attention.head_count_kv": model.n_kv_heads,
        "attention.key_length": width,
        "attention.value_length": width,
        "attention.layer_norm_rms_epsilon": model.norm_eps,
        "rope.dimension_count": width,
        "rope.freq_base": model.rope_theta,
        "vocab_size": vocab_size,
        **(_expert_keys(config, architecture) if config.moe.experts else {}),
        **(_own_keys(config) if architecture == "nanoconsole" else {}),
    }
    return {f"{architecture}.{key}": value for key, value in keys.items()}


def _expert_keys(config: Config, architecture: Architecture) -> dict[str, Any]:
    moe, width = config.moe, config.moe.d_expert or config.model.d_ff
    zeros = zero_expert_width(config) if architecture == "hy_v3" else 0
    return {
        "expert_count": moe.experts,
        "expert_used_count": moe.active,
        "expert_feed_forward_length": width,
        "expert_shared_feed_forward_length": moe.shared * width or zeros,
        "expert_gating_func": SIGMOID,
        "expert_weights_norm": moe.active > 1 or moe.experts == 1,
    }


def _own_keys(config: Config) -> dict[str, Any]:
    """The hyper-connections under llama.cpp's names, and the sections of the techniques as they are."""
    keys: dict[str, Any] = {
        "activation": config.model.activation,
        "hyper_connection.count": config.mhc.streams,
        "hyper_connection.epsilon": EPS,
    }
    if config.mhc.kind == "sinkhorn":
        keys["hyper_connection.sinkhorn_iterations"] = SINKHORN_STEPS
    for section in TECHNIQUES:
        keys |= {f"{section}.{name}": value for name, value in getattr(config, section).model_dump().items()}
    return keys


def own_keys(config: Config, tokenizer_json: str) -> dict[str, Any]:
    """What this program reads a file by: the whole configuration and the tokenizer, as JSON."""
    return {CONFIG_KEY: json.dumps(published(config)), TOKENIZER_KEY: tokenizer_json}


def published(config: Config) -> Mapping[str, Any]:
    """The configuration as it may leave this machine: of paths the last part only.

    Nor does it keep what a preset says of itself, which need not be true of a configuration that was changed.
    """
    table = config.model_dump() | {"about": About().model_dump()}
    for source in table["data"]["sources"]:
        source["paths"] = [PurePath(path).name for path in source["paths"]]
    for section, key in (("data", "tokenizer_file"), ("collider", "reference")):
        table[section][key] = PurePath(table[section][key]).name
    return table
