"""A model, its tokenizer and its configuration from a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from nanocore.checkpoint.state import load_checkpoint
from nanocore.config.schema import Config
from nanocore.config.validate import build
from nanocore.data.tokenizer import Tokenizer, from_json
from nanocore.errors import CheckpointError
from nanocore.model.transformer import Transformer


def load_model(
    checkpoint: Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> tuple[Transformer, Tokenizer, Config]:
    """Everything that generation and evaluation need. Raises CheckpointError when the checkpoint cannot be used."""
    loaded = load_checkpoint(checkpoint, with_optimizer=False)
    table = loaded.state.get("config") if isinstance(loaded.state, dict) else None
    if not isinstance(table, dict):
        raise CheckpointError("holds no configuration", where=checkpoint.name, fix="choose another checkpoint")
    config = build(table, where=checkpoint.name)
    tokenizer = from_json(loaded.tokenizer_json, where=f"{checkpoint.name}/tokenizer.json")
    with torch.device("meta"):  # the weights come from the file, so no memory is taken for others
        model = Transformer(config, tokenizer.vocab_size)
    if wrong := _differences(model.state_dict(), loaded.model):
        reason = f"{len(wrong)} of its tensors are not those of its configuration, first {wrong[0]}"
        raise CheckpointError(reason, where=checkpoint.name, fix="choose another checkpoint")
    model.load_state_dict(loaded.model, assign=True)
    return model.to(device, dtype).eval(), tokenizer, config


def _differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """Names that are in one only, or have another shape."""
    shapes = [{name: tensor.shape for name, tensor in tensors.items()} for tensors in (expected, found)]
    return [name for name in sorted(expected.keys() | found.keys()) if shapes[0].get(name) != shapes[1].get(name)]
