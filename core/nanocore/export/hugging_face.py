"""Folders that transformers loads: configuration, weights, tokenizer, model card.

Two forms. `plain`: ternary weights multiplied out to float32; any version of transformers loads them, and leaves
activations unquantised. `bitnet`: codes and scales apart, with transformers' own BitNet quantiser
(AutoBitLinear, offline), which quantises each token's activations to 8 bits exactly as training did.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save
from torch import Tensor

from nanocore.config.schema import Config
from nanocore.data.tokenizer import Tokenizer
from nanocore.errors import UsageError
from nanocore.export.architecture import stock_architecture
from nanocore.export.hf_tokenizer import tokenizer_files
from nanocore.export.model_card import model_card
from nanocore.export.replace import write_new
from nanocore.export.report import ExportReport, Facts
from nanocore.export.tensors import Weights, check_tokenizer, weights_of
from nanocore.export.unquantised import activation_effect
from nanocore.model.transformer import Transformer

HfForm = Literal["plain", "bitnet"]
CLASSES = {"qwen3": "Qwen3ForCausalLM", "llama": "LlamaForCausalLM", "bitnet": "BitNetForCausalLM"}
SAMPLE = "def mean(values):\n    total = 0.0\n    for value in values:\n        total += value\n    return total / len(values)\n"
NAMES = {
    "embedding.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "head.weight": "lm_head.weight",
}
PARTS = {
    "attention_norm": "input_layernorm",
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.output": "self_attn.o_proj",
    "attention.query_norm": "self_attn.q_norm",
    "attention.key_norm": "self_attn.k_norm",
    "attention.sub_norm": "self_attn.attn_sub_norm",
    "feed_forward_norm": "post_attention_layernorm",
    "feed_forward.gate": "mlp.gate_proj",
    "feed_forward.up": "mlp.up_proj",
    "feed_forward.down": "mlp.down_proj",
    "feed_forward.sub_norm": "mlp.ffn_sub_norm",
}


def export_hf(
    model: Transformer,
    tokenizer: Tokenizer,
    config: Config,
    path: Path,
    *,
    form: HfForm = "plain",
    sample: str = SAMPLE,
    facts: Facts | None = None,
    overwrite: bool = False,
) -> ExportReport:
    """Write a folder for transformers. The card states what leaving activations unquantised changes on `sample`.

    Raises UsageError for a model without an architecture there, and when `path` exists and `overwrite` is false.
    """
    check_tokenizer(model, tokenizer)
    name, refused = _architecture(config, form)
    weights = weights_of(model)
    tensors = {**_floats(weights), **(_codes(weights) if form == "bitnet" else _products(weights))}
    facts = facts or Facts(path.name)
    effect = activation_effect(model, tokenizer, sample) if weights.ternary and form == "plain" else None
    dropped = ("prediction heads (MTP)",) if config.mtp.horizon else ()
    files = {
        "config.json": _config_json(config, tokenizer, name, form),
        "generation_config.json": {"bos_token_id": tokenizer.bos, "eos_token_id": tokenizer.bos},
        **tokenizer_files(tokenizer, config.model.context_length),
    }
    texts = {file: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for file, content in files.items()}
    texts["README.md"] = model_card(config, facts, CLASSES[name], form, effect, dropped)

    def build(folder: Path) -> None:
        folder.mkdir()
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
        (folder / "model.safetensors").write_bytes(save(tensors, metadata={"format": "pt"}))  # save_file ignores umask

    write_new(path, build, overwrite=overwrite)
    size = sum(file.stat().st_size for file in path.iterdir())
    types = Counter(str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values())
    notes = (effect.sentence(),) if effect else ()
    return ExportReport(path, CLASSES[name], size, types, notes, dropped, refused)


def _architecture(config: Config, form: HfForm) -> tuple[str, dict[str, str]]:
    """The architecture that has a class in transformers which computes this model. Raises UsageError without one."""
    name, refused = stock_architecture(config)
    if name == "hy_v3":
        refused["hy_v3"] = "experts are exported as GGUF only"
    if name not in CLASSES:
        reasons = "; ".join(f"{each}: {reason}" for each, reason in refused.items() if each != "hy_v3" or name == each)
        raise UsageError(f"no class of transformers computes this model ({reasons})", fix="export it as GGUF")
    if form == "bitnet" and (config.model.group_size or config.model.linear == "float"):
        what = "float matrices" if config.model.linear == "float" else "scales of groups of columns"
        raise UsageError(f"transformers' BitNet layers have no {what}", fix="use the form plain")
    return name, refused


def _config_json(config: Config, tokenizer: Tokenizer, name: str, form: HfForm) -> dict[str, Any]:
    model = config.model
    table: dict[str, Any] = {
        "architectures": [CLASSES[name]],
        "model_type": name,
        "vocab_size": tokenizer.vocab_size,
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
        "bos_token_id": tokenizer.bos,
        "eos_token_id": tokenizer.bos,
        "dtype": "float32",
        "torch_dtype": "float32",
    }
    if form == "bitnet":
        table["quantization_config"] = {
            "quant_method": "bitnet",
            "linear_class": "autobitlinear",
            "quantization_mode": "offline",
            "modules_to_not_convert": ["lm_head"],
        }
    return table


def _name(name: str) -> str:
    if not name.startswith("blocks."):
        return NAMES[name]
    _, layer, rest = name.split(".", 2)
    part, _, last = rest.rpartition(".")
    return f"model.layers.{layer}.{PARTS[part]}.{last}"


def _trunk(names: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in names.items() if not name.startswith("prediction_heads.")}


def _floats(weights: Weights) -> dict[str, Tensor]:
    return {_name(name): tensor.contiguous() for name, tensor in _trunk(weights.floats).items()}


def _products(weights: Weights) -> dict[str, Tensor]:
    return {_name(name): weight.dequantise() for name, weight in _trunk(weights.ternary).items()}


def _codes(weights: Weights) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, weight in _trunk(weights.ternary).items():
        place = _name(name)
        found[place] = _packed(weight.codes)
        found[place.removesuffix("weight") + "weight_scale"] = weight.scale.reshape(1).clone()
    return found


def _packed(codes: Tensor) -> Tensor:
    """Four rows in one, a quarter of the matrix apart, as codes + 1 of two bits (rows / 4, columns) uint8.

    Other numbers of rows stay float32: transformers tells the two by their shapes.
    """
    if len(codes) % 4:
        return codes.float()
    first, second, third, fourth = (codes + 1).to(torch.uint8).chunk(4)
    return first | second << 2 | third << 4 | fourth << 6
