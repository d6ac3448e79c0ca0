"""A folder for transformers: its files, its classes, and what our tensors are called there."""

from __future__ import annotations

from typing import Literal

HfForm = Literal["plain", "bitnet"]
CONFIG_FILE, WEIGHTS_FILE, CARD_FILE = "config.json", "model.safetensors", "README.md"
OWN_FILE, OWN_SCHEMA = "nanoconsole.json", 2  # what this program reads a folder by
CLASSES = {"qwen3": "Qwen3ForCausalLM", "llama": "LlamaForCausalLM", "bitnet": "BitNetForCausalLM"}
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


def hf_name(name: str) -> str:
    """The tensor's name in transformers, of a name in the model's state."""
    if not name.startswith("blocks."):
        return NAMES[name]
    _, layer, rest = name.split(".", 2)
    part, _, last = rest.rpartition(".")
    return f"model.layers.{layer}.{PARTS[part]}.{last}"


def hf_scale_name(tensor: str) -> str:
    """The tensor that holds the scale of a matrix in the form bitnet."""
    return tensor.removesuffix("weight") + "weight_scale"
