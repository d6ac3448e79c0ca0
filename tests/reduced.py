"""One rule that makes a small configuration of any preset: the same techniques on a model of a few thousand numbers."""

from __future__ import annotations

from nanocore.config.schema import Config

HEAD_WIDTH = 16


def reduced(config: Config, steps: int) -> Config:
    """The configuration for `steps` steps on a CPU, with every technique on that was on.

    Query heads keep their ratio to key-value heads, d_model is 16 for each head and d_ff twice that; layers are as few
    as hold the whole pattern of DeltaNet, experts and loop, but two; steps of schedules shrink as the run does.
    """
    table = config.model_dump()
    model, training = table["model"], table["training"]
    ratio, share = model["n_heads"] // model["n_kv_heads"], steps / training["steps"]
    keys = 2 if ratio == 1 else 1
    width = HEAD_WIDTH * keys * ratio
    model |= {"n_heads": keys * ratio, "n_kv_heads": keys, "head_dim": 0, "d_model": width, "d_ff": 2 * width}
    model |= {"n_layers": _layers(config), "group_size": min(16, model["group_size"]), "context_length": 32}
    table["moe"]["d_expert"] = 0
    if config.delta.pattern:
        table["delta"] |= {"n_heads": 0, "head_dim": 0, "chunk": 8}
    table["data"] |= {"sources": [{"kind": "synthetic", "documents": 64}], "tokenizer": "bytes", "vocab_size": 0}
    training |= {"steps": steps, "batch_size": 4, "accumulation": min(2, training["accumulation"])}
    for section, key in (("schedule", "warmup_steps"), ("collider", "start_step"), ("fire", "at_step")):
        table[section][key] = int(table[section][key] * share)
    table["evaluation"] |= {"every": 0, "tokens": 32, "sample_every": 0, "sample_tokens": 1}
    table["checkpoint"]["every"] = 0
    table["hardware"] |= {"device": "cpu", "dtype": "float32", "threads": 1}
    table["logging"]["tensorboard"] = False
    return Config.model_validate(table)


def _layers(config: Config) -> int:
    loop = config.loop
    return max(2, len(config.delta.pattern), config.moe.every, loop.before + 1 + loop.after)
