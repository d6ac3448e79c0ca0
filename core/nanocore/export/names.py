"""What llama.cpp calls the tensors of a model; names of ours stand where it has none."""

from __future__ import annotations

from nanocore.config.layers import has_experts
from nanocore.config.schema import Config

MODEL = {
    "embedding.weight": "token_embd.weight",
    "norm.weight": "output_norm.weight",
    "head.weight": "output.weight",
    "exit_gate.norm.weight": "exit_gate_norm.weight",
}
# The part of a name behind `blocks.N.`, without its last word; experts' stacks see EXPERTS.
BLOCK = {
    "attention_norm": "attn_norm",
    "attention.query": "attn_q",
    "attention.key": "attn_k",
    "attention.value": "attn_v",
    "attention.gate": "attn_gate",
    "attention.output": "attn_output",
    "attention.query_norm": "attn_q_norm",
    "attention.key_norm": "attn_k_norm",
    "attention.sub_norm": "attn_sub_norm",
    "attention.head_norm": "ssm_norm",
    "attention.convolution": "ssm_conv1d",
    "attention.strength": "ssm_beta",
    "attention_connection": "hc_attn",
    "feed_forward_norm": "ffn_norm",
    "feed_forward.gate": "ffn_gate",
    "feed_forward.up": "ffn_up",
    "feed_forward.down": "ffn_down",
    "feed_forward.sub_norm": "ffn_sub_norm",
    "feed_forward.shared.gate": "ffn_gate_shexp",
    "feed_forward.shared.up": "ffn_up_shexp",
    "feed_forward.shared.down": "ffn_down_shexp",
    "feed_forward.shared.sub_norm": "ffn_shexp_sub_norm",
    "feed_forward_connection": "hc_ffn",
}
EXPERTS = {f"feed_forward.{name}": f"ffn_{name}_exps" for name in ("gate", "up", "down")}
# Whole names behind `blocks.N.`, where llama.cpp's do not end as ours do.
EXACT = {
    "attention.decay.weight": "ssm_alpha.weight",
    "attention.decay.bias": "ssm_dt.bias",
    "attention.decay.log_rate": "ssm_a_log",  # llama.cpp's ssm_a is -exp of it
    "feed_forward.router.weight": "ffn_gate_inp.weight",
    "feed_forward.router.bias": "exp_probs_b",
}
CONNECTION = {"phi": "fn.weight", "alpha": "scale.weight", "pre": "base.weight", "post": "base.weight", "res": "base.weight"}  # fmt: skip


def gguf_name(name: str, config: Config) -> str:
    """The tensor's name in a GGUF file, of a name in the model's state. Stream logits of a sub-layer share a tensor."""
    if name.startswith("blocks."):
        _, layer, rest = name.split(".", 2)
        return f"blk.{layer}.{_in_block(rest, has_experts(config, int(layer)))}"
    if name.startswith("prediction_heads.heads."):
        _, _, index, rest = name.split(".", 3)
        inner = _in_block(rest.removeprefix("block."), experts=False) if rest.startswith("block.") else rest
        return f"mtp.{index}.{inner}"
    return MODEL.get(name, name)


def scale_name(name: str) -> str:
    """The tensor that holds the scales of a ternary tensor."""
    return name.removesuffix(".weight") + ".scale"


def _in_block(name: str, experts: bool) -> str:
    if name in EXACT:
        return EXACT[name]
    part, _, last = name.rpartition(".")
    if part.endswith("_connection"):
        return f"{BLOCK[part]}_{CONNECTION[last]}"
    return f"{EXPERTS[part] if experts and part in EXPERTS else BLOCK[part]}.{last}"
