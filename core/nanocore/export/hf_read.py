"""A folder for transformers that this program wrote, as configuration, tokenizer and weights; any other is refused.

`plain` holds ternary matrices multiplied out: each number is 0 or plus or minus its group's one scale, so codes and scales come
back exactly. `bitnet` holds them as they are. What the folder is stands in nanoconsole.json; config.json, which other
tools go by, must not contradict it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from nanocore.config.schema import Config
from nanocore.data.tokenizer import Tokenizer
from nanocore.errors import FormatError
from nanocore.export.architecture import Architecture, stock_architecture
from nanocore.export.hf_codes import packed_as, unpack_rows
from nanocore.export.hf_config import config_json, no_bitnet
from nanocore.export.hf_names import (
    CLASSES,
    CONFIG_FILE,
    OWN_FILE,
    OWN_SCHEMA,
    WEIGHTS_FILE,
    HfForm,
    hf_name,
    hf_scale_name,
)
from nanocore.export.read_model import CONFIG_BYTES, GUIDE, ReadModel, as_exported, sound_config, sound_tokenizer
from nanocore.export.safetensors_read import read_safetensors
from nanocore.export.sealed import UNVERIFIED, check_folder
from nanocore.export.slots import ternary_names
from nanocore.export.stored_values import codes_of_products, sound_scale
from nanocore.export.tensors import Weights
from nanocore.files import read_regular
from nanocore.limits import TOKENIZER_BYTES
from nanocore.model.quantise import TernaryWeight
from nanocore.model.transformer import Transformer
from nanocore.runs.text import sanitize_line


@dataclass(frozen=True)
class Place:
    """Where a weight of the model's state lies: its tensor, its own shape, and whether it is ternary."""

    name: str
    tensor: str
    shape: tuple[int, ...]
    ternary: bool


@dataclass(frozen=True)
class HfFolder:
    """A folder whose tensors are those of its configuration, by name, type and shape. Their values are not read yet.

    `verified`: it holds the hashes of its files, and they agree with them."""

    label: str
    form: HfForm
    architecture: Architecture
    config: Config
    tokenizer: Tokenizer
    tokenizer_json: str
    keys: Mapping[str, Any]
    places: list[Place]
    tensors: dict[str, Tensor]
    verified: bool

    def where(self, tensor: str) -> str:
        return f"{self.label}: {tensor}"


def read_hf(path: Path) -> ReadModel:
    """Read an exported folder whole. Raises FormatError where anything in it is not exactly as its configuration says."""
    folder, weights = parse_hf(path), Weights({}, {})
    if not folder.verified:
        logging.getLogger(__name__).warning("%s: %s", folder.label, UNVERIFIED)
    for place in folder.places:
        if place.ternary:
            weights.ternary[place.name] = ternary_at(folder, place)
        else:
            weights.floats[place.name] = _finite(folder, place.tensor)
    own = (folder.architecture, folder.config, folder.tokenizer, folder.tokenizer_json)
    return ReadModel(*own, weights, folder.keys)


def parse_hf(path: Path) -> HfFolder:
    """The folder without the values of its tensors. Raises FormatError where it is not one that `export_hf` wrote, or was
    altered since."""
    label = sanitize_line(path.name)
    own, where = _own(path, label), f"{label}/{OWN_FILE}"
    verified = check_folder(path)
    keys = _json(path / CONFIG_FILE, CONFIG_BYTES, label)
    form, tokenizer_json = own["form"], own["tokenizer"]
    config = sound_config(own["config"], where)
    name, reason = stock_architecture(config)
    if name is None or name not in CLASSES or (form == "bitnet" and no_bitnet(config)):
        why = reason or no_bitnet(config) or "experts"
        raise FormatError(f"holds a model that such a folder cannot hold ({why})", where=where)
    tensors = read_safetensors(path / WEIGHTS_FILE)
    config = as_exported(config, name, len(tensors), where)
    tokenizer = sound_tokenizer(tokenizer_json, where)
    _check_keys(keys, config_json(config, tokenizer, name, form), f"{label}/{CONFIG_FILE}")
    places = _places(config, tokenizer.vocab_size)
    _check_tensors(tensors, _stored(places, form), f"{label}/{WEIGHTS_FILE}")
    return HfFolder(label, form, name, config, tokenizer, tokenizer_json, keys, places, tensors, verified)


def ternary_at(folder: HfFolder, place: Place) -> TernaryWeight:
    """Codes and scales of a matrix, exactly those it was exported with. Raises FormatError where they are none."""
    where = folder.where(place.tensor)
    if folder.form == "plain":
        group = folder.config.model.group_size
        return TernaryWeight(*codes_of_products(_finite(folder, place.tensor), group, where=where))
    scale = sound_scale(_finite(folder, hf_scale_name(place.tensor)).view(1, 1), where=where)
    return TernaryWeight(unpack_rows(folder.tensors[place.tensor], where=where), scale)


def _own(path: Path, label: str) -> dict[str, Any]:
    """nanoconsole.json with the keys it must have."""
    file = path / OWN_FILE
    if not file.exists():
        raise FormatError(f"has no {OWN_FILE}", where=label, fix=GUIDE)
    found = _json(file, CONFIG_BYTES + TOKENIZER_BYTES, label)
    version = found.get("schema")
    if type(version) is not int or not 1 <= version <= OWN_SCHEMA:
        what = f"is of version {sanitize_line(str(version), 20)}, this program reads versions 1 to {OWN_SCHEMA}"
        raise FormatError(what, where=f"{label}/{OWN_FILE}", fix=GUIDE)
    sound = found.get("form") in get_args(HfForm) and isinstance(found.get("tokenizer"), str)
    if not sound or not isinstance(found.get("config"), dict):
        raise FormatError("has no usable form, config and tokenizer", where=f"{label}/{OWN_FILE}", fix=GUIDE)
    return found


def _json(file: Path, most: int, label: str) -> dict[str, Any]:
    """The JSON table of a file of at most `most` bytes."""
    where = f"{label}/{file.name}"
    try:
        found = json.loads(read_regular(file, most))
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror}", where=where) from None
    except (ValueError, RecursionError) as error:
        raise FormatError(f"is not JSON ({sanitize_line(str(error), 100)})", where=where) from None
    if not isinstance(found, dict):
        raise FormatError("is not a JSON table", where=where)
    return found


def _check_keys(found: Mapping[str, Any], expected: Mapping[str, Any], where: str) -> None:
    """What other tools go by must not differ from what we go by."""
    for key in (*expected, "quantization_config"):
        if found.get(key) != expected.get(key):
            raise FormatError(f"contradicts {OWN_FILE}: {key} should be {expected.get(key)}", where=where)


def _places(config: Config, vocab_size: int) -> list[Place]:
    with torch.device("meta"):
        model = Transformer(config, vocab_size)
    ternary = ternary_names(model)
    state = model.state_dict().items()
    return [Place(name, hf_name(name), tuple(tensor.shape), name in ternary) for name, tensor in state]


def _stored(places: list[Place], form: HfForm) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
    """Type and shape of every tensor of the file."""
    found: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {}
    for place in places:
        coded = place.ternary and form == "bitnet"
        found[place.tensor] = packed_as(place.shape) if coded else (torch.float32, place.shape)
        if coded:
            found[hf_scale_name(place.tensor)] = torch.float32, (1,)
    return found


def _check_tensors(
    tensors: Mapping[str, Tensor], expected: Mapping[str, tuple[torch.dtype, tuple[int, ...]]], where: str
) -> None:
    found = {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()}
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            what, wanted = _described(found.get(name)), _described(expected.get(name))
            raise FormatError(f"the tensor {sanitize_line(name, 80)} is {what}, should be {wanted}", where=where)


def _described(stored: tuple[torch.dtype, tuple[int, ...]] | None) -> str:
    return f"{str(stored[0]).removeprefix('torch.')} {stored[1]}" if stored else "not there"


def _finite(folder: HfFolder, tensor: str) -> Tensor:
    values = folder.tensors[tensor]
    if not bool(values.isfinite().all()):
        raise FormatError("holds numbers that are not finite", where=folder.where(tensor))
    return values
