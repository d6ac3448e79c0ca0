"""Which keys may differ between a run and its continuation, and between a run and its fork."""

from __future__ import annotations

from typing import Any

from nanocore.config.fields import changed
from nanocore.config.optimizer_bytes import state_slots
from nanocore.config.parameters import weights
from nanocore.config.paths import anchored
from nanocore.config.schema import Config

_SHOWN = 3  # conflicts in one line
# What a resumed run may change (whole sections, and keys); anything else makes it another experiment.
RESUMABLE = (
    "about",
    "training.steps",
    "training.tokens",
    "training.duration",
    "training.accumulation",
    "training.activation_checkpointing",
    "collider.cosine_every",
    "loop.exit_threshold",
    "logging",
    "evaluation",
    "checkpoint",
    "hardware",
)
# Keys that decide which tensors a checkpoint holds; a fork must agree with its parent in these.
TENSOR_KEYS = (
    "model.d_model",
    "model.n_layers",
    "model.n_heads",
    "model.n_kv_heads",
    "model.head_dim",
    "model.d_ff",
    "model.activation",
    "model.qk_norm",
    "model.sub_norm",
    "model.tie_embeddings",
    "mhc.streams",
    "mhc.dynamic",
    "mhc.kind",
    "loop.count",
    "moe.experts",
    "moe.shared",
    "moe.d_expert",
    "moe.every",
    "delta.pattern",
    "delta.gated",
    "delta.n_heads",
    "delta.head_dim",
    "delta.conv",
    "mtp.horizon",
    "mtp.kind",
    "data.tokenizer",
    "data.vocab_size",
    "data.tokenizer_file",
)
# Keys that decide, with the model, which tensors optimizer state consists of.
STATE_KEYS = (
    "optimizer.matrices",
    "optimizer.others",
    "optimizer.state",
    "optimizer.state_block",
    "optimizer.stochastic_rounding",
    "galore.rank_fraction",
    "galore.adaptive",
    "galore.projector",
)


def may_change_on_resume(key: str) -> bool:
    return key in RESUMABLE or key.partition(".")[0] in RESUMABLE


def some(conflicts: list[str]) -> str:
    """The first few of them in one line, so that what to do about them is not cut off behind it."""
    more = f" and {len(conflicts) - _SHOWN} more" if len(conflicts) > _SHOWN else ""
    return f"{', '.join(conflicts[:_SHOWN])}{more}"


def resume_conflicts(before: Config, after: Config) -> list[str]:
    """`key old -> new` for every difference that a resumed run must not have."""
    return [f"{key} {old} -> {new}" for key, old, new in _changed(before, after) if not may_change_on_resume(key)]


def fork_conflicts(parent: Config, child: Config) -> list[str]:
    """`key old -> new` for every difference that makes the parent's tensors unusable for the child."""
    return [f"{key} {old} -> {new}" for key, old, new in _changed(parent, child) if key in TENSOR_KEYS]


def state_conflicts(parent: Config, child: Config) -> list[str]:
    """The same for the parent's optimizer state; the model is one. None where the changed keys have no effect."""
    model = weights(parent, parent.data.vocab_size)
    if all(state_slots(parent, weight) == state_slots(child, weight) for weight in model):
        return []
    return [f"{key} {old} -> {new}" for key, old, new in _changed(parent, child) if key in STATE_KEYS]


def _changed(before: Config, after: Config) -> list[tuple[str, Any, Any]]:
    """What differs; a run's paths are absolute, so relative ones are compared as the paths they mean here."""
    return changed(anchored(before), anchored(after))
