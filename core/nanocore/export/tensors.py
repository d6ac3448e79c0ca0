"""A model's weights as arrays of a GGUF file, slot by slot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from gguf import quants
from torch import Tensor

from nanocore.data.tokenizer import Tokenizer
from nanocore.errors import UsageError
from nanocore.export.blocks import Scheme, choose_format, pack_codes
from nanocore.export.names import scale_name
from nanocore.export.slots import Slot
from nanocore.model.bitlinear import TernaryModule
from nanocore.model.quantise import TernaryWeight
from nanocore.model.transformer import Transformer

ScaleMode = Literal["tensor", "block"]
HeadType = Literal["f32", "f16", "q8_0"]
LARGEST_HALF = 65504.0
LARGEST_SCALE = 1e6  # scales are mean magnitudes of weights: far below 1 as a rule, and no model computes with larger


@dataclass(frozen=True)
class Stored:
    """A tensor of the file: raw blocks (uint8) or numbers, slowest dimension first."""

    name: str
    data: np.ndarray
    type: Type


@dataclass(frozen=True)
class Weights:
    """A model by names of its state: ternary matrices as codes and scales, never quantised again, the rest as floats."""

    ternary: dict[str, TernaryWeight]
    floats: dict[str, Tensor]


@dataclass(frozen=True)
class Form:
    """How weights are written: ternary matrices by `scheme`, their scales beside them (`tensor`) or in the blocks'
    float16 factors (`block`, `group` columns each), embedding and head as `head`."""

    scheme: Scheme
    scale_mode: ScaleMode
    head: HeadType
    group: int


def weights_of(model: Transformer) -> Weights:
    """All weights, on the CPU in float32. Raises UsageError where one is not finite, or a scale absurd: no file could be read back."""
    modules = {name: module for name, module in model.named_modules() if isinstance(module, TernaryModule)}
    ternary = {f"{name}.weight": TernaryWeight(*(part.cpu() for part in m.ternary())) for name, m in modules.items()}
    own = {f"{name}.{part}" for name in modules for part in ("weight", "codes", "scale")}
    floats = {key: value.detach().cpu().float() for key, value in model.state_dict().items() if key not in own}
    scales = {key: weight.scale for key, weight in ternary.items()}
    for name, tensor in (floats | scales).items():
        if not bool(tensor.isfinite().all()):
            raise UsageError(
                f"{name} holds numbers that are not finite", fix="export an earlier checkpoint with --step"
            )
    for name, scale in scales.items():
        if float(scale.max()) > LARGEST_SCALE:
            raise UsageError(
                f"{name} has a scale above {LARGEST_SCALE:g}", fix="export an earlier checkpoint with --step"
            )
    return Weights(ternary, floats)


def check_tokenizer(model: Transformer, tokenizer: Tokenizer) -> None:
    """Raise UsageError where the tokens are not those of the model."""
    if model.vocab_size != tokenizer.vocab_size:
        what = f"the tokenizer has {tokenizer.vocab_size} tokens, the model {model.vocab_size}"
        raise UsageError(what, fix="give the tokenizer that it was trained with")


def stored(slot: Slot, weights: Weights, form: Form) -> Iterator[Stored]:
    """What a slot becomes: one tensor, or codes and scales."""
    if slot.role == "ternary":
        weight = weights.ternary[slot.sources[0]] if slot.sources else _zeros(slot)
        yield from _ternary(slot, weight, form)
        return
    parts = [weights.floats[name] for name in slot.sources] or [torch.zeros(slot.shape)]
    values = reordered(torch.cat(parts), slot.heads).numpy()
    kind: HeadType = form.head if slot.role == "embedding" else "f32"
    yield Stored(slot.name, *_floats(values, kind, slot.name))


def reordered(rows: Tensor, heads: int, *, back: bool = False) -> Tensor:
    """Rows (heads * width, ...) with i and i + width / 2 of each head side by side, where rotary positions turn pairs.

    `back` undoes it; 0 heads change nothing.
    """
    if not heads:
        return rows
    pairs = (heads, -1, 2) if back else (heads, 2, -1)
    return rows.unflatten(0, pairs).transpose(1, 2).flatten(0, 2).contiguous()


def _zeros(slot: Slot) -> TernaryWeight:
    return TernaryWeight(torch.zeros(slot.shape, dtype=torch.int8), torch.ones(1, 1))


def _ternary(slot: Slot, weight: TernaryWeight, form: Form) -> Iterator[Stored]:
    codes = reordered(weight.codes, slot.heads).numpy()
    rows_of_scales = weight.scale.shape[-2] == slot.shape[-2] and weight.scale.shape[-2:] != (1, 1)
    scale = (reordered(weight.scale, slot.heads) if rows_of_scales else weight.scale).numpy()
    in_blocks = form.scale_mode == "block"
    kind = choose_format(form.scheme, codes.shape[-1], form.group if in_blocks else 0)
    factors = scale if in_blocks else np.ones((1,) * codes.ndim, np.float32)
    if in_blocks and scale.max(initial=0) > LARGEST_HALF:
        raise UsageError(f"{slot.name}: its scale is too large for float16", fix="use --scale-mode tensor")
    if kind is None:
        width = codes.shape[-1] // factors.shape[-1]
        yield Stored(slot.name, (codes * np.repeat(factors, width, axis=-1)).astype(np.float16), Type.F16)
    else:
        blocks = (*codes.shape[:-1], codes.shape[-1] // kind.columns)
        spread = np.repeat(factors, blocks[-1] // factors.shape[-1], axis=-1)
        yield Stored(slot.name, pack_codes(codes, np.broadcast_to(spread, blocks), kind), kind.type)
    if not in_blocks:
        grouped = scale.shape[-2:] != (1, 1)
        yield Stored(scale_name(slot.name), scale if grouped else scale.reshape(-1), Type.F32)


def _floats(values: np.ndarray, kind: HeadType, name: str) -> tuple[np.ndarray, Type]:
    if kind == "f32":
        return values, Type.F32
    if np.abs(values).max(initial=0) > LARGEST_HALF:
        raise UsageError(f"{name}: a value is too large for float16", fix="use --head f32")
    if kind == "f16":
        return values.astype(np.float16), Type.F16
    return quants.quantize(values, Type.Q8_0), Type.Q8_0
