"""Small models of every kind, and what each becomes as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from nanocore.data.tokenizer import ByteTokenizer, Tokenizer
from nanocore.export.gguf_write import export_gguf
from nanocore.export.report import ExportReport
from nanocore.model.transformer import Transformer
from tests.techniques import MOE, SMALL
from tests.tiny import tiny_config

NO_NORMS = ("model.qk_norm=false",)
BITNET = (*NO_NORMS, "model.sub_norm=true")
# Settings, and the architecture that is chosen for them.
CASES: dict[str, tuple[tuple[str, ...], str]] = {
    "gqa": ((), "qwen3"),
    "mha": (("model.n_kv_heads=2",), "qwen3"),
    "untied": (("model.tie_embeddings=false",), "qwen3"),
    "wide": (("model.d_model=256", "model.d_ff=512", "model.n_heads=4", "model.n_kv_heads=2"), "qwen3"),
    "float": (("model.linear=float",), "qwen3"),
    "fp4": (("model.linear=float", "fp4.format=nvfp4", "fp4.forward=true"), "nanoconsole"),
    "fp4-backward": (("model.linear=float", "fp4.format=nvfp4", "fp4.forward=false"), "qwen3"),
    "llama": (("model.n_heads=4", "model.n_kv_heads=2", "model.head_dim=6", *NO_NORMS), "llama"),
    "llama-groups": (("model.head_dim=8", "model.group_size=8", *NO_NORMS), "nanoconsole"),
    "bitnet": (BITNET, "bitnet"),
    "bitnet-untied": ((*BITNET, "model.tie_embeddings=false"), "nanoconsole"),
    "bitnet-narrow": ((*BITNET, "model.head_dim=12"), "nanoconsole"),
    "sub-norm": (("model.sub_norm=true",), "nanoconsole"),
    "relu2": (("model.activation=relu2",), "nanoconsole"),
    "groups": (("model.group_size=8",), "nanoconsole"),
    "experts": ((*MOE, "moe.every=2"), "hy_v3"),
    "experts-one": (("moe.experts=3", "moe.active=1", "moe.d_expert=32", "moe.shared=1"), "hy_v3"),
    "experts-groups": ((*MOE, "model.group_size=16"), "nanoconsole"),
    "experts-relu2": ((*MOE, "moe.shared=2", "model.activation=relu2", "model.sub_norm=true"), "nanoconsole"),
    "streams-2": (("mhc.streams=2",), "nanoconsole"),
    "streams-4": (("mhc.streams=4", "mhc.init=depth"), "nanoconsole"),
    "streams-dynamic": (("mhc.streams=4", "mhc.dynamic=true"), "nanoconsole"),
    "sinkhorn": (("mhc.streams=4", "mhc.kind=sinkhorn", "mhc.dynamic=true"), "nanoconsole"),
    "unconstrained": (("mhc.streams=2", "mhc.kind=unconstrained"), "nanoconsole"),
    "loop": (("loop.count=3", "loop.before=1", "loop.exit_threshold=0.9"), "nanoconsole"),
    "loop-streams": (("loop.count=2", "mhc.streams=2"), "nanoconsole"),
    "delta-gated": (("delta.pattern=DA",), "nanoconsole"),
    "delta-plain": (("delta.pattern=D", "delta.gated=false", "delta.conv=0"), "nanoconsole"),
    "further-tokens": (("mtp.horizon=2", "mhc.streams=2"), "nanoconsole"),
    "further-chain": (("mtp.horizon=2", "mtp.kind=sequential", "mhc.streams=2"), "nanoconsole"),
    "everything": (
        (*MOE, "moe.shared=1", "delta.pattern=DA", "mhc.streams=4", "mhc.dynamic=true", "mtp.horizon=1"),
        "nanoconsole",
    ),
}
MAIN = ("gqa", "untied", "float", "fp4", "llama", "llama-groups", "bitnet", "bitnet-narrow", "experts", "experts-relu2",
        "sinkhorn", "unconstrained", "loop", "delta-plain", "further-chain", "everything")  # fmt: skip
VOCABULARY = 257


def exported_model(*sets: str, vocabulary: int = VOCABULARY) -> Transformer:
    """A model none of whose parameters is as `initialise` leaves it: gains are not 1, biases not 0."""
    model = Transformer(tiny_config(*SMALL, *sets), vocabulary)
    model.initialise(5)
    generator = torch.Generator().manual_seed(6)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            noise = torch.randn(tensor.shape, generator=generator)
            tensor.add_(0.2 * noise * tensor.abs().mean().clamp(min=0.05))
    return model.eval()


def export(model: Transformer, path: Path, tokenizer: Tokenizer | None = None, **options: Any) -> ExportReport:
    """With head type f32, which changes nothing, unless told."""
    return export_gguf(model, tokenizer or ByteTokenizer(), model.config, path, **{"head": "f32", **options})
