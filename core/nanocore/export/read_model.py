"""What an exported file or folder becomes when it is read, whatever its format, and the parts that all formats share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nanocore.config.schema import Config
from nanocore.config.techniques import Mtp
from nanocore.config.validate import build
from nanocore.data.tokenizer import Tokenizer, from_json
from nanocore.errors import ConfigError, DataError, FormatError
from nanocore.export.architecture import Architecture, stock_architecture
from nanocore.export.tensors import Weights
from nanocore.runs.text import sanitize_line

CONFIG_BYTES = 1 << 20
GUIDE = "only what nanoconsole exported can be run by it"
LEAST_TENSORS = 9  # of each block: two norms, and at least seven matrices or scales


@dataclass(frozen=True)
class ReadModel:
    """What was exported. Weights go by the names of the model's state; a stock format has no prediction heads.

    `config` is the one trained with, but for prediction heads that were left out, and paths cut to their names. `keys`
    is what other tools go by.
    """

    architecture: Architecture
    config: Config
    tokenizer: Tokenizer
    tokenizer_json: str
    weights: Weights
    keys: Mapping[str, Any]


def sound_config(table: object, where: str) -> Config:
    """The configuration of a JSON value, checked by the schema. Raises FormatError."""
    try:
        return build(table if isinstance(table, dict) else {"config": table}, where=where)
    except (ValueError, RecursionError, ConfigError) as error:
        reason = error.problems[0] if isinstance(error, ConfigError) else str(error)
        raise FormatError(f"has an unusable configuration ({sanitize_line(reason, 200)})", where=where) from None


def as_exported(config: Config, architecture: Architecture, tensors: int, where: str) -> Config:
    """The configuration of what lies in `tensors` tensors: stock formats leave prediction heads out.

    Raises FormatError where the architecture does not compute such a model, or the tensors are too few for its blocks:
    a model of them, even without memory, would take long to build.
    """
    if architecture != "nanoconsole" and stock_architecture(config)[0] != architecture:
        raise FormatError(f"holds a model that {architecture} does not compute", where=where)
    if LEAST_TENSORS * config.model.n_layers > tensors:
        raise FormatError("has fewer tensors than its configuration has layers for", where=where)
    return config if architecture == "nanoconsole" else config.model_copy(update={"mtp": Mtp()})


def sound_tokenizer(text: str, where: str) -> Tokenizer:
    """The tokenizer of a text. Raises FormatError."""
    try:
        return from_json(text, where=where)
    except DataError as error:
        raise FormatError(f"has an unusable tokenizer ({error.what})", where=where) from None
