"""The reference model of a filter by excess loss, judged by what its checkpoint says of itself, before a run is made of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nanocore.checkpoint.record import STATE, examine
from nanocore.config.schema import Config, Data
from nanocore.errors import UsageError
from nanocore.files import is_folder, read_regular
from nanocore.runs.documents import MAX_BYTES
from nanocore.runs.text import sanitize_line

KEY = "collider.reference"
GIVE = "give the path of a folder .../RUN/checkpoints/step-00000000"
TOKENIZER = 'train it on this text, or set data.tokenizer = "file" and data.tokenizer_file to its tokenizer.json'


def reference_path(config: Config) -> Path | None:
    """The checkpoint folder that scores tokens; None where none is asked for."""
    collider = config.collider
    scored = collider.mode != "off" and collider.importance == "excess"
    return Path(collider.reference).expanduser() if scored else None


def refuse_unfit(config: Config) -> None:
    """Raise UsageError for a reference model that is no whole checkpoint, reads shorter texts, or has another kind or size of
    vocabulary than the run. Weights are not read; that both vocabularies are one is known when the text is."""
    path = reference_path(config)
    if path is None:
        return
    if not is_folder(path):
        raise UsageError("is not a checkpoint folder", where=KEY, fix=GIVE)
    if problems := examine(path, hashes=False):
        raise UsageError(f"{sanitize_line(path.name)} is no checkpoint: {problems[0].text}", where=KEY, fix=GIVE)
    its = _configuration(path)
    if its.model.context_length < config.model.context_length:
        what = f"the reference model reads {its.model.context_length} tokens, the run {config.model.context_length}"
        raise UsageError(what, where=KEY, fix="choose another, or lower model.context_length")
    if _other_vocabulary(its.data, config.data):
        raise UsageError("the reference model has another tokenizer", where=KEY, fix=TOKENIZER)


def _configuration(path: Path) -> Config:
    """What the reference model was trained with. Raises UsageError where its checkpoint does not say so."""
    try:
        found: dict[str, Any] = json.loads(read_regular(path / STATE, MAX_BYTES))
        return Config.model_validate(found["state"]["config"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # ValueError: no JSON, or no configuration
        what = f"{sanitize_line(path.name)} does not say with what it was trained"
        raise UsageError(what, where=KEY, fix="choose another checkpoint") from None


def _other_vocabulary(its: Data, own: Data) -> bool:
    """Whether two vocabularies differ for certain; what a file holds is not known here."""
    if "file" in (its.tokenizer, own.tokenizer):
        return False
    return its.tokenizer != own.tokenizer or (own.tokenizer == "bpe" and its.vocab_size != own.vocab_size)
