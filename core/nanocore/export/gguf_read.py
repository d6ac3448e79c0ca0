"""A GGUF file that this program wrote, as configuration, tokenizer and weights; anything else is refused."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType as Type
from torch import Tensor

from nanocore.config.schema import Config
from nanocore.errors import FormatError
from nanocore.export.architecture import STOCK
from nanocore.export.gguf_parse import GgufFile, RawTensor, parse_gguf
from nanocore.export.metadata import CONFIG_KEY, SCHEMA, TOKENIZER_KEY, model_keys
from nanocore.export.names import scale_name
from nanocore.export.read_model import CONFIG_BYTES, GUIDE, ReadModel, as_exported, sound_config, sound_tokenizer
from nanocore.export.sealed import AGAIN, ALTERED, SCHEMA_KEY, SEALED, UNVERIFIED
from nanocore.export.slots import Slot, slots
from nanocore.export.stored_values import codes_and_scale, float_values
from nanocore.export.tensors import Weights, reordered
from nanocore.limits import TOKENIZER_BYTES
from nanocore.model.quantise import TernaryWeight
from nanocore.runs.text import sanitize_line


def read_gguf(path: Path) -> ReadModel:
    """Read an exported file whole. Raises FormatError where anything in it is not exactly as its configuration says."""
    where, file = sanitize_line(path.name), parse_gguf(path)
    architecture = _text(file, "general.architecture", 64, where)
    if architecture not in (*STOCK, "nanoconsole"):
        raise FormatError(f"has the architecture {sanitize_line(architecture)!r}", where=where, fix=GUIDE)
    _check_version(file, where)
    config = as_exported(_config(file, where), architecture, len(file.tensors), where)
    tokenizer_json = _text(file, TOKENIZER_KEY, TOKENIZER_BYTES, where)
    tokenizer = sound_tokenizer(tokenizer_json, where)
    _check_keys(file, model_keys(config, tokenizer.vocab_size, architecture), where)
    places = slots(config, tokenizer.vocab_size, architecture)
    weights = _Reader(file, where, config.model.group_size).weights(places)
    return ReadModel(architecture, config, tokenizer, tokenizer_json, weights, file.keys)


def _check_version(file: GgufFile, where: str) -> None:
    """Files of version 1 hold no hash: one that has it and says 1, or says 2 and lacks it, is damaged."""
    found = file.keys.get(SCHEMA_KEY)
    if type(found) is not int or not 1 <= found <= SCHEMA:
        version = f"of version {found}" if isinstance(found, int) else "none of nanoconsole's"
        raise FormatError(f"is {version}, this program reads versions 1 to {SCHEMA}", where=where, fix=GUIDE)
    if file.verified != (found >= SEALED):
        raise FormatError(ALTERED, where=where, fix=AGAIN)
    if not file.verified:
        logging.getLogger(__name__).warning("%s: %s", where, UNVERIFIED)


def _text(file: GgufFile, key: str, longest: int, where: str) -> str:
    found = file.keys.get(key)
    if not isinstance(found, str) or len(found) > longest:
        raise FormatError(f"has no usable key {key}", where=where, fix=GUIDE)
    return found


def _config(file: GgufFile, where: str) -> Config:
    try:
        table = json.loads(_text(file, CONFIG_KEY, CONFIG_BYTES, where))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"has an unusable configuration ({sanitize_line(str(error), 200)})", where=where) from None
    return sound_config(table, where)


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
