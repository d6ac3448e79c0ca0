"""The JSON files of a folder for transformers: its configuration, and the one that this program reads it by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nanocore.config.schema import Config
from nanocore.data.tokenizer import Tokenizer
from nanocore.export.hf_names import CLASSES, OWN_SCHEMA, HfForm
from nanocore.export.metadata import published
from nanocore.seal import ZEROS

BITNET = {
    "quant_method": "bitnet",
    "linear_class": "autobitlinear",
    "quantization_mode": "offline",
    "modules_to_not_convert": ["lm_head"],
}


def config_json(config: Config, tokenizer: Tokenizer, name: str, form: HfForm) -> dict[str, Any]:
    """config.json of a model of the architecture `name`."""
    return {
        "architectures": [CLASSES[name]],
        "model_type": name,
        **_shape(config, tokenizer.vocab_size),
        "bos_token_id": tokenizer.bos,
        "eos_token_id": tokenizer.bos,
        "dtype": "float32",
        "torch_dtype": "float32",
        **({"quantization_config": BITNET} if form == "bitnet" else {}),
    }


def own_json(config: Config, tokenizer: Tokenizer, form: HfForm, hashes: Mapping[str, str]) -> Mapping[str, Any]:
    """nanoconsole.json: hashes of the other files, the form, the whole configuration, and the tokenizer as a checkpoint has
    it. Its own hash is put in where the zeros stand."""
    sealed = {"schema": OWN_SCHEMA, "sha256": ZEROS.decode(), "files": dict(hashes)}
    return {**sealed, "form": form, "config": published(config), "tokenizer": tokenizer.to_json()}


def no_bitnet(config: Config) -> str:
    """Why transformers' BitNet layers cannot hold the matrices of a model; "" when they can."""
    if config.model.linear == "float":
        return "its matrices are float"
    return "its matrices have a scale for each group of columns (model.group_size)" if config.model.group_size else ""


def _shape(config: Config, vocab_size: int) -> dict[str, Any]:
    model = config.model
    return {
        "vocab_size": vocab_size,
        "hidden_size": model.d_model,
        "intermediate_size": model.d_ff,
        "num_hidden_layers": model.n_layers,
        "num_attention_heads": model.n_heads,
        "num_key_value_heads": model.n_kv_heads,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": model.context_length,
        "rms_norm_eps": model.norm_eps,
        "rope_theta": model.rope_theta,  # transformers 4; 5 reads rope_parameters
        "rope_parameters": {"rope_type": "default", "rope_theta": model.rope_theta},
        "tie_word_embeddings": model.tie_embeddings,
        "attention_bias": False,
    }
