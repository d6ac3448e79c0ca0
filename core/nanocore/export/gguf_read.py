"""A GGUF file that this program wrote, as configuration, tokenizer and weights; anything else is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType as Type
from torch import Tensor

from nanocore.config.schema import Config
from nanocore.config.techniques import Mtp
from nanocore.config.validate import build
from nanocore.data.tokenizer import Tokenizer, from_json
from nanocore.errors import ConfigError, DataError, FormatError
from nanocore.export.architecture import STOCK, Architecture, stock_architecture
from nanocore.export.gguf_parse import GgufFile, RawTensor, parse_gguf
from nanocore.export.metadata import CONFIG_KEY, SCHEMA, SCHEMA_KEY, TOKENIZER_KEY, model_keys
from nanocore.export.names import scale_name
from nanocore.export.slots import Slot, slots
from nanocore.export.stored_values import codes_and_scale, float_values
from nanocore.export.tensors import Weights, reordered
from nanocore.limits import TOKENIZER_BYTES
from nanocore.model.quantize import TernaryWeight
from nanocore.runs.text import sanitize_line

CONFIG_BYTES = 1 << 20
GUIDE = "only files that nanoconsole exported can be run by it"


@dataclass(frozen=True)
class ReadModel:
    """What a file holds. Weights go by the names of the model's state; a stock file has no prediction heads.

    `config` is the one trained with, but for prediction heads that the file leaves out, and paths cut to their names.
    """

    architecture: Architecture
    config: Config
    tokenizer: Tokenizer
    tokenizer_json: str
    weights: Weights
    keys: Mapping[str, Any]


def read_gguf(path: Path) -> ReadModel:
    """Read an exported file whole. Raises FormatError where anything in it is not exactly as its configuration says."""
    where, file = sanitize_line(path.name), parse_gguf(path)
    architecture = _text(file, "general.architecture", 64, where)
    if architecture not in (*STOCK, "nanoconsole"):
        raise FormatError(f"has the architecture {sanitize_line(architecture)!r}", where=where, fix=GUIDE)
    if (found := file.keys.get(SCHEMA_KEY)) != SCHEMA or isinstance(found, bool):
        version = f"of version {found}" if isinstance(found, int) else "none of nanoconsole's"
        raise FormatError(f"is {version}, this program reads version {SCHEMA}", where=where, fix=GUIDE)
    config = _config(file, architecture, where)
    tokenizer_json = _text(file, TOKENIZER_KEY, TOKENIZER_BYTES, where)
    tokenizer = _tokenizer(tokenizer_json, where)
    _check_keys(file, model_keys(config, tokenizer.vocab_size, architecture), where)
    places = slots(config, tokenizer.vocab_size, architecture)
    weights = _Reader(file, where, config.model.group_size).weights(places)
    return ReadModel(architecture, config, tokenizer, tokenizer_json, weights, file.keys)


def _text(file: GgufFile, key: str, longest: int, where: str) -> str:
    found = file.keys.get(key)
    if not isinstance(found, str) or len(found) > longest:
        raise FormatError(f"has no usable key {key}", where=where, fix=GUIDE)
    return found


def _config(file: GgufFile, architecture: Architecture, where: str) -> Config:
    """The configuration, checked by the schema and against the architecture."""
    try:
        table = json.loads(_text(file, CONFIG_KEY, CONFIG_BYTES, where))
        config = build(table if isinstance(table, dict) else {"config": table}, where=where)
    except (ValueError, RecursionError, ConfigError) as error:
        reason = error.problems[0] if isinstance(error, ConfigError) else str(error)
        raise FormatError(f"has an unusable configuration ({sanitize_line(reason, 200)})", where=where) from None
    if architecture != "nanoconsole" and architecture in stock_architecture(config)[1]:
        raise FormatError(f"holds a model that {architecture} does not compute", where=where)
    if 9 * config.model.n_layers > len(file.tensors):  # of each block: two norms and at least seven matrices or scales
        raise FormatError("has fewer tensors than its configuration has layers for", where=where)
    return config if architecture == "nanoconsole" else config.model_copy(update={"mtp": Mtp()})


def _tokenizer(text: str, where: str) -> Tokenizer:
    try:
        return from_json(text, where=where)
    except DataError as error:
        raise FormatError(f"has an unusable tokenizer ({error.what})", where=where) from None


def _check_keys(file: GgufFile, expected: Mapping[str, Any], where: str) -> None:
    """What other tools go by must not differ from what we go by."""
    for key, value in expected.items():
        wanted = float(np.float32(value)) if isinstance(value, float) else value
        if key not in file.keys or type(file.keys[key]) is not type(wanted) or file.keys[key] != wanted:
            raise FormatError(f"contradicts its configuration: the key {key} should be {wanted}", where=where)


class _Reader:
    """Takes the tensors of a file one by one, and knows which are left."""

    def __init__(self, file: GgufFile, where: str, group: int) -> None:
        self.left, self.where, self.group = dict(file.tensors), where, group

    def weights(self, places: list[Slot]) -> Weights:
        found = Weights({}, {})
        for slot in places:
            if slot.role == "ternary":
                weight = self._ternary(slot)
                found.ternary.update(dict.fromkeys(slot.sources, weight))
            else:
                self._floats(slot, found)
        if self.left:
            name = sanitize_line(next(iter(self.left)), 80)
            raise FormatError(f"has a tensor too many, {name!r}", where=self.where)
        return found

    def _take(self, name: str, shape: tuple[int, ...]) -> RawTensor:
        raw = self.left.pop(name, None)
        if raw is None or raw.shape != shape:
            what = "is not there" if raw is None else f"is {raw.shape}, its configuration says {shape}"
            raise FormatError(f"the tensor {name} {what}", where=self.where)
        return raw

    def _ternary(self, slot: Slot) -> TernaryWeight:
        scale = self._scale(slot)
        raw = self._take(slot.name, slot.shape)
        codes, scale = codes_and_scale(raw, scale, self.group, where=f"{self.where}: {slot.name}")
        by_rows = scale.shape[-2:] != (1, 1)
        return TernaryWeight(
            reordered(codes, slot.heads, back=True),
            reordered(scale, slot.heads, back=True) if by_rows else scale,
        )

    def _scale(self, slot: Slot) -> Tensor | None:
        """The scales beside a matrix (..., 1, 1) or (..., rows, groups); None when they are in its blocks."""
        name = scale_name(slot.name)
        if name not in self.left:
            return None
        *stack, rows, columns = slot.shape
        shape = (*stack, rows, columns // self.group) if self.group and slot.sources else (stack[0] if stack else 1,)
        raw = self._take(name, shape)
        if raw.type != Type.F32:
            raise FormatError(f"the tensor {name} is {raw.type.name}, not F32", where=self.where)
        values = float_values(raw, where=f"{self.where}: {name}")
        return values if len(shape) > 1 else values.view(*stack, 1, 1)

    def _floats(self, slot: Slot, found: Weights) -> None:
        raw = self._take(slot.name, slot.shape)
        if raw.type != Type.F32 and slot.role != "embedding":
            raise FormatError(f"the tensor {slot.name} is {raw.type.name}, not F32", where=self.where)
        values = reordered(float_values(raw, where=f"{self.where}: {slot.name}"), slot.heads, back=True)
        if slot.sources:
            found.floats.update(zip(slot.sources, values.split(slot.lengths), strict=True))
