"""Check: a GGUF file is the model: codes, scales and floats as they were, the same logits, and readable by others."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import torch
from torch import Tensor

from nanocore.export.gguf_write import export_gguf
from nanocore.export.load import load_gguf
from nanocore.export.tensors import Weights, weights_of
from nanocore.model.transformer import Transformer
from nanocore.validation.compare import error
from nanocore.validation.outcome import Found, expect, within
from nanocore.validation.tiny import BYTES, random_tokens, tiny_model
from nanocore.validation.workshop import Workshop

WIDE = ("model.d_model=256", "model.d_ff=512", "model.n_heads=8", "model.n_kv_heads=2")  # whole blocks of TQ2_0
CASES: dict[str, tuple[str, ...]] = {
    "qwen3": (*WIDE, "mhc.streams=1"),
    "streams and experts": (*WIDE, "mhc.streams=4", "mhc.dynamic=true", "moe.experts=2", "moe.active=1"),
    "untied groups": (*WIDE, "mhc.streams=1", "model.group_size=128", "model.tie_embeddings=false"),
}
TQ2_0 = "blk.0.ffn_down.weight"


@torch.no_grad()
def check(workshop: Workshop) -> Found:
    written = [_round_trip(workshop.folder / "exports", name, sets) for name, sets in CASES.items()]
    size = sum(path.stat().st_size for path in written)
    return Found(
        f"{len(CASES)} files, {size >> 10} KiB, logits bit for bit",
        f"{', '.join(CASES)}: codes and scales are never quantised again; the gguf package reads what was written",
    )


def _round_trip(folder: Path, name: str, sets: tuple[str, ...]) -> Path:
    folder.mkdir(exist_ok=True)
    model, path = tiny_model(9, *sets), folder / f"{name.replace(' ', '-')}.gguf"
    export_gguf(model, BYTES, model.config, path, head="f32")
    loaded, tokenizer, config = load_gguf(path)
    expect(config == model.config, f"{name}: another configuration", "the one that was written")
    expect(tokenizer.to_json() == BYTES.to_json(), f"{name}: another tokenizer", "the one that was written")
    ours = weights_of(model)
    _same(name, ours, weights_of(loaded))
    tokens = random_tokens(2, 12)
    expect(torch.equal(_logits(model, tokens), _logits(loaded, tokens)), f"{name}: other logits", "the same bits")
    wide = error(_logits(loaded.double(), tokens), _logits(model.double(), tokens))
    within(f"{name}: logits in float64, error", wide, 1e-9)
    _readable(name, path, ours)
    return path


def _logits(model: Transformer, tokens: Tensor) -> Tensor:
    return model.logits(model(tokens))


def _same(name: str, ours: Weights, theirs: Weights) -> None:
    for key, weight in ours.ternary.items():
        found = theirs.ternary[key]
        expect(torch.equal(weight.codes, found.codes), f"{name}: {key}: other codes", "the codes of training")
        off = float((found.scale / weight.scale).flatten()[0])
        expect(torch.equal(weight.scale, found.scale), f"{name}: {key}: scale times {off:.4f}", "the scale of training")
    moved = [key for key, tensor in ours.floats.items() if not torch.equal(tensor, theirs.floats[key])]
    expect(not moved, f"{name}: {moved[:1]} is another", "every float as it was")


def _readable(name: str, path: Path, ours: Weights) -> None:
    """Another reader's numbers: codes from the blocks, scales beside them."""
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    weight = ours.ternary.get("blocks.0.feed_forward.down.weight")
    if weight is None or TQ2_0 not in tensors:  # experts lie otherwise
        return
    found = gguf.quants.dequantize(tensors[TQ2_0].data, tensors[TQ2_0].tensor_type)
    scale = tensors["blk.0.ffn_down.scale"].data
    scale = scale.reshape(len(found), -1) if scale.size > 1 else scale.reshape(1, 1)  # (rows, groups), or one
    found = found * np.repeat(scale, found.shape[1] // scale.shape[1], axis=1)
    exact = weight.dequantise().numpy()
    wrong = int((~np.isclose(found, exact, rtol=1e-6)).sum())
    expect(wrong == 0, f"{name}: {wrong} weights are others to the gguf package", "the same numbers")
