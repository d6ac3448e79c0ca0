"""What is inside a model on disk: facts, and every tensor with its type, shape, bytes, scale and share of zeros.

Headers are read first, and the weights of ternary matrices only up to `MEASURED` of them, so that this stays quick.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from math import isfinite, prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from nanocore.checkpoint.record import STATE
from nanocore.checkpoint.state import MODEL, OPTIMIZER, TOKENIZER
from nanocore.config.schema import Config
from nanocore.config.validate import build
from nanocore.data.tokenizer import from_json
from nanocore.errors import CheckpointError
from nanocore.export.architecture import stock_architecture
from nanocore.export.sealed import UNVERIFIED
from nanocore.infer.locate import Source
from nanocore.model.bitlinear import TernaryModule
from nanocore.model.transformer import Transformer
from nanocore.runs.text import sanitize_line

VERIFIED = "verified: its bytes are those that were written (SHA-256)"
MEASURED = 1 << 28  # weights whose zeros are counted: a second or two


@dataclass(frozen=True)
class TensorFacts:
    """One tensor: `type` and `bytes` as stored, `shape` slowest dimension first.

    Of a ternary matrix that was measured `scales` counts its scales, `scale` is their mean, and `zero_fraction` the share
    of zero codes.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    bytes: int
    ternary: bool = False
    scales: int | None = None
    scale: float | None = None
    zero_fraction: float | None = None

    @property
    def values(self) -> int:
        return prod(self.shape)


@dataclass
class Contents:
    """`facts` are for people: configuration of a checkpoint, keys of a file.

    `architecture` is the name that an exported file has, or would have; `description` says in words what a checkpoint
    computes. `bytes` on disk are those of all `parts`: the model's weights, a checkpoint's optimizer state, the rest.
    `integrity`: whether the bytes were found to be those that were written. `passed_over`: as of Source.
    """

    kind: str
    label: str
    path: str
    architecture: str
    parts: dict[str, int]
    facts: dict[str, Any]
    description: str = ""
    integrity: str = UNVERIFIED
    passed_over: str = ""
    tensors: list[TensorFacts] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        return sum(self.parts.values())

    def table(self) -> dict[str, Any]:
        """Everything as JSON values, with totals."""
        ternary = [each for each in self.tensors if each.zero_fraction is not None]
        values = sum(each.values for each in ternary)
        zeros = sum(each.values * (each.zero_fraction or 0.0) for each in ternary)
        totals = {
            "tensors": len(self.tensors),
            "parameters": sum(each.values for each in self.tensors),
            "ternary_parameters": sum(each.values for each in self.tensors if each.ternary),
            "tensor_bytes": sum(each.bytes for each in self.tensors),
            "zero_fraction": zeros / values if values else None,
            "not_measured": sum(each.ternary and each.zero_fraction is None for each in self.tensors),
        }
        tensors = [asdict(each) | {"scale": number_or_name(each.scale)} for each in self.tensors]
        return {**asdict(self), "bytes": self.bytes, "tensors": tensors, "totals": totals}


def contents(source: Source) -> Contents:
    """What is inside. Raises CheckpointError or FormatError for what is damaged."""
    if source.kind == "hf":
        from nanocore.infer.folder_contents import folder_contents

        return folder_contents(source)
    if source.kind == "gguf":
        from nanocore.infer.gguf_contents import gguf_contents

        return gguf_contents(source)
    return _checkpoint(source)


class Budget:
    """How many weights may still be measured."""

    def __init__(self) -> None:
        self._left = MEASURED

    def take(self, values: int) -> bool:
        self._left -= values
        return self._left >= 0


def _checkpoint(source: Source) -> Contents:
    """Latent weights are quantised as the model would; nothing else of them is read."""
    try:
        config, vocabulary = _described(source)
        with torch.device("meta"):
            model = Transformer(config, vocabulary)
        tensors = list(_latent(source, model))
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = sanitize_line(str(error), 200)
        raise CheckpointError(
            f"cannot be read: {reason}", where=source.label, fix="choose another checkpoint"
        ) from None
    facts = {"vocabulary": vocabulary, **described(config)}
    name, parts = stock_architecture(config)[0] or "nanoconsole", _parts(source.path)
    found = Contents("checkpoint", source.label, str(source.path), name, parts, facts, in_words(config), VERIFIED)
    found.passed_over = source.passed_over
    found.tensors.extend(tensors)
    return found


def _parts(checkpoint: Path) -> dict[str, int]:
    """Bytes of its files by what they are for."""
    parts = {"model": 0, "optimizer": 0, "other": 0}
    for path in checkpoint.iterdir():
        parts[{MODEL: "model", OPTIMIZER: "optimizer"}.get(path.name, "other")] += path.stat().st_size
    return parts


def in_words(config: Config) -> str:
    """What it computes: `ternary decoder, 4 blocks 128 wide, 2 residual streams`."""
    model, techniques = config.model, used_techniques(config)
    words = {
        "streams": "{} residual streams",
        "loop": "blocks looped {} times",
        "experts": "{} experts",
        "delta": "layer pattern {} (D: DeltaNet, A: attention)",
        "prediction_heads": "prediction heads: {}",
    }
    plain = [f"{model.linear} decoder", f"{model.n_layers} blocks {model.d_model} wide"]
    return ", ".join([*plain, *(words[key].format(value) for key, value in techniques.items())])


def _described(source: Source) -> tuple[Config, int]:
    state = json.loads((source.path / STATE).read_text(encoding="utf-8"))["state"]
    tokenizer = from_json((source.path / TOKENIZER).read_text(encoding="utf-8"), where=source.label)
    return build(state["config"], where=source.label), tokenizer.vocab_size


def described(config: Config) -> dict[str, Any]:
    """The shape, and what of the architecture is not the plain decoder."""
    return config.model.model_dump() | used_techniques(config)


def used_techniques(config: Config) -> dict[str, Any]:
    facts = {
        "streams": config.mhc.streams if config.mhc.streams > 1 else None,
        "loop": config.loop.count if config.loop.count > 1 else None,
        "experts": config.moe.experts or None,
        "delta": config.delta.pattern or None,
        "prediction_heads": config.mtp.horizon or None,
    }
    return {key: value for key, value in facts.items() if value is not None}


def _latent(source: Source, model: Transformer) -> Iterator[TensorFacts]:
    """Every tensor of the checkpoint; `model` is on the meta device, and knows which are ternary."""
    ternary = {f"{name}.weight": each for name, each in model.named_modules() if isinstance(each, TernaryModule)}
    budget = Budget()
    with safe_open(source.path / MODEL, framework="pt") as file:
        for name in sorted(file.keys()):
            part = file.get_slice(name)
            shape, kind = tuple(part.get_shape()), str(part.get_dtype())
            size = prod(shape) * int(kind.lstrip("BFIU").split("_")[0]) // 8
            tensor, module = TensorFacts(name, kind, shape, size, name in ternary), ternary.get(name)
            yield _quantised(tensor, module, file.get_tensor(name)) if module and budget.take(prod(shape)) else tensor


def _quantised(tensor: TensorFacts, module: TernaryModule, latent: Tensor) -> TensorFacts:
    """Measured as the module would quantise the latent weights, which it does not keep."""
    module.weight = nn.Parameter(latent, requires_grad=False)
    codes, scale = module.quantise()
    module.weight = nn.Parameter(latent.to("meta"), requires_grad=False)
    return measured(tensor, codes == 0, scale)


def measured(tensor: TensorFacts, zeros: Tensor, scale: Tensor) -> TensorFacts:
    """With `zeros`, true where a code is 0, counted, and the mean of all scales."""
    mean, share = float(scale.double().mean()), float(zeros.sum()) / zeros.numel()
    return replace(tensor, scales=scale.numel(), scale=mean, zero_fraction=share)


def number_or_name(value: float | None) -> float | str | None:
    """JSON knows no nan."""
    return value if value is None or isfinite(value) else str(value)


def integrity(verified: bool) -> str:
    """What `Contents` says of a file that holds its hash, or does not."""
    return VERIFIED if verified else UNVERIFIED


def weights_apart(weights: int, size: int) -> dict[str, int]:
    """The parts of a file of so many bytes, as `Contents` has them."""
    return {"model": weights, "other": size - weights}
