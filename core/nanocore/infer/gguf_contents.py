"""What is inside a GGUF file, of this program or another."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch

from nanocore.errors import FormatError
from nanocore.export.blocks import FORMATS, unpack_codes
from nanocore.export.gguf_parse import RawTensor, parse_gguf
from nanocore.export.metadata import CONFIG_KEY
from nanocore.export.read_model import as_exported, sound_config
from nanocore.export.stored_values import float_values
from nanocore.infer.contents import (
    Budget,
    Contents,
    TensorFacts,
    in_words,
    integrity,
    measured,
    number_or_name,
    used_techniques,
    weights_apart,
)
from nanocore.infer.locate import Source
from nanocore.runs.text import sanitize_line

LONGEST_VALUE = 120  # characters of a key's value that are shown
SECTIONS = {  # of keys, and which technique they are about
    "mhc": "streams",
    "hyper_connection": "streams",
    "loop": "loop",
    "moe": "experts",
    "delta": "delta",
    "mtp": "prediction_heads",
}


def gguf_contents(source: Source) -> Contents:
    """Every tensor and key, but for keys of techniques that the model does not use. Raises FormatError for damage."""
    file = parse_gguf(source.path)
    architecture = sanitize_line(str(file.keys.get("general.architecture", "unknown")), LONGEST_VALUE)
    facts = {sanitize_line(key): _shown(value) for key, value in file.keys.items() if key != "general.architecture"}
    size, tensor_bytes = source.path.stat().st_size, sum(raw.data.nbytes for raw in file.tensors.values())
    found = Contents("gguf", source.label, str(source.path), architecture, weights_apart(tensor_bytes, size), facts)
    found.integrity = integrity(file.verified)
    if CONFIG_KEY in file.keys:
        _describe(found, file.keys[CONFIG_KEY], len(file.tensors))
    budget = Budget()
    for name, raw in file.tensors.items():
        scale = file.tensors.get(name.removesuffix(".weight") + ".scale") if name.endswith(".weight") else None
        found.tensors.append(_packed(sanitize_line(name), raw, scale, budget))
    return found


def _describe(found: Contents, text: Any, tensors: int) -> None:
    """By the configuration in a file: what it computes, and which keys say nothing of it. A damaged one is told."""
    try:
        config = sound_config(json.loads(text), found.label)
        config = as_exported(config, found.architecture, tensors, found.label)  # type: ignore[arg-type]
    except (FormatError, ValueError, TypeError, RecursionError) as error:
        found.description = sanitize_line(f"unknown: {error}", LONGEST_VALUE)
        return
    found.description, used = in_words(config), used_techniques(config)
    unused = tuple(f"{found.architecture}.{section}." for section, name in SECTIONS.items() if name not in used)
    found.facts = {key: value for key, value in found.facts.items() if not key.startswith(unused)}


def _shown(value: Any) -> Any:
    """A key's value as far as it fits a line."""
    if isinstance(value, str):
        return sanitize_line(value, LONGEST_VALUE)
    if isinstance(value, float):
        return number_or_name(_shortest(value))
    return value if isinstance(value, bool | int) else f"{len(value)} items"


def _shortest(value: float) -> float:
    """Of a number that fits 32 bits the shortest that reads as it: 1e-05, not 9.999999747378752e-06."""
    with np.errstate(over="ignore"):
        single = np.float32(value)
    return float(str(single)) if float(single) == value else value


def _packed(name: str, raw: RawTensor, scale: RawTensor | None, budget: Budget) -> TensorFacts:
    """A tensor of the file; ternary is one with ternary blocks, or with scales beside it."""
    kind = raw.type.name
    plain = TensorFacts(name, kind, raw.shape, raw.data.nbytes, kind in ("TQ1_0", "TQ2_0") or scale is not None)
    if not plain.ternary or not budget.take(plain.values):
        return plain
    beside = float_values(scale, where=name) if scale is not None else None
    if raw.type not in FORMATS:
        values = float_values(raw, where=name)
        return measured(plain, values == 0, values.abs().max() if beside is None else beside)
    codes, factors = unpack_codes(raw.data.reshape(*raw.shape[:-1], -1), FORMATS[raw.type], where=name)
    scales = torch.from_numpy(factors.astype(np.float32)) if beside is None else beside
    return measured(plain, torch.from_numpy(codes == 0), scales)
