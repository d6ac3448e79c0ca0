"""Folders that transformers loads: configuration, weights, tokenizer, model card.

Two forms. `plain`: ternary weights multiplied out to float32; any version of transformers loads them, and leaves
activations unquantised. `bitnet`: codes and scales apart, with transformers' own BitNet quantiser
(AutoBitLinear, offline), which quantises each token's activations to 8 bits exactly as training did.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from nanocore.config.schema import Config
from nanocore.data.tokenizer import Tokenizer
from nanocore.errors import UsageError
from nanocore.export.architecture import Architecture, stock_architecture
from nanocore.export.hf_codes import pack_rows
from nanocore.export.hf_config import config_json, no_bitnet, own_json
from nanocore.export.hf_names import (
    CARD_FILE,
    CLASSES,
    CONFIG_FILE,
    OWN_FILE,
    WEIGHTS_FILE,
    HfForm,
    hf_name,
    hf_scale_name,
)
from nanocore.export.hf_tokenizer import tokenizer_files
from nanocore.export.model_card import model_card
from nanocore.export.replace import write_new
from nanocore.export.report import ExportReport, Facts
from nanocore.export.tensors import Weights, check_tokenizer, weights_of
from nanocore.export.unquantised import activation_effect
from nanocore.model.transformer import Transformer
from nanocore.seal import seal_json

SAMPLE = "def mean(values):\n    total = 0.0\n    for value in values:\n        total += value\n    return total / len(values)\n"


def export_hf(
    model: Transformer,
    tokenizer: Tokenizer,
    config: Config,
    path: Path,
    *,
    form: HfForm = "plain",
    sample: str = SAMPLE,
    facts: Facts | None = None,
    overwrite: bool = False,
) -> ExportReport:
    """Write a folder for transformers. The card states what leaving activations unquantised changes on `sample`.

    Raises UsageError for a model without an architecture there, and when `path` exists and `overwrite` is false;
    ResourceError when it cannot be written at all.
    """
    check_tokenizer(model, tokenizer)
    name = _architecture(config, form)
    weights = weights_of(model)
    tensors = _tensors(weights, form)
    effect = activation_effect(model, tokenizer, sample) if weights.ternary and form == "plain" else None
    dropped = ("prediction heads (MTP): transformers has no place for them",) if config.mtp.horizon else ()
    texts = {file: _text(content) for file, content in _tables(config, tokenizer, name, form).items()}
    card = model_card(config, facts or Facts(path.name), CLASSES[name], form, effect, dropped)
    files = {**{file: text.encode() for file, text in texts.items()}, WEIGHTS_FILE: save(tensors, {"format": "pt"})}
    hashes = {file: hashlib.sha256(content).hexdigest() for file, content in files.items()}
    own = seal_json(_text(own_json(config, tokenizer, form, hashes)).encode())
    files |= {OWN_FILE: own, CARD_FILE: card.encode()}
    write_new(path, lambda place: _write(place, files), folder=True, overwrite=overwrite)
    size = sum(file.stat().st_size for file in path.iterdir())
    types = Counter(str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values())
    return ExportReport(path, CLASSES[name], size, types, (effect.sentence(),) if effect else (), dropped)


def _architecture(config: Config, form: HfForm) -> Architecture:
    """The architecture that has a class in transformers which computes this model. Raises UsageError without one."""
    name, reason = stock_architecture(config)
    if name is None or name not in CLASSES:
        why = reason or "experts are exported as GGUF only"
        raise UsageError(f"no class of transformers computes this model: {why}", fix="use --to gguf")
    if form == "bitnet" and (why := no_bitnet(config)):
        raise UsageError(f"transformers' BitNet layers cannot hold this model: {why}", fix="use --form plain")
    return name


def _tables(config: Config, tokenizer: Tokenizer, name: Architecture, form: HfForm) -> dict[str, Mapping[str, Any]]:
    """The JSON files that other tools read."""
    return {
        CONFIG_FILE: config_json(config, tokenizer, name, form),
        "generation_config.json": {"bos_token_id": tokenizer.bos, "eos_token_id": tokenizer.bos},
        **tokenizer_files(tokenizer, config.model.context_length),
    }


def _text(table: Mapping[str, Any]) -> str:
    return json.dumps(table, indent=2, ensure_ascii=False) + "\n"


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)  # safetensors' own save_file ignores the umask


def _tensors(weights: Weights, form: HfForm) -> dict[str, Tensor]:
    """All weights under the names of transformers; prediction heads have none."""
    found = {hf_name(name): tensor.contiguous() for name, tensor in _trunk(weights.floats).items()}
    for name, weight in _trunk(weights.ternary).items():
        place = hf_name(name)
        if form == "plain":
            found[place] = weight.dequantise()
        else:
            found[place] = pack_rows(weight.codes)
            found[hf_scale_name(place)] = weight.scale.reshape(1).clone()
    return found


def _trunk(names: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in names.items() if not name.startswith("prediction_heads.")}
