"""What a configuration costs: parameters, memory and arithmetic, from the schema alone (no torch)."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from nanocore.config.activations import activation_bytes, backward_bytes, prediction_again_bytes, prediction_bytes
from nanocore.config.flops import flops_per_token
from nanocore.config.layer_activations import FLOAT, sizes_of
from nanocore.config.machine import device_type
from nanocore.config.optimizer_bytes import passing_bytes, state_bytes
from nanocore.config.parameters import Weights, of_role, total, trained, weights
from nanocore.config.schema import BYTES_VOCABULARY, Config
from nanocore.errors import DataError
from nanocore.files import read_regular
from nanocore.limits import LOGITS_BYTES, TOKENIZER_BYTES, VOCABULARY
from nanocore.runs.text import sanitize_line

CHECK_FILE = "check data.tokenizer_file"


@dataclass(frozen=True)
class Estimate:
    """Counts and bytes of one process. Parameters, weights, gradients and optimizer state are exact.

    `activation_bytes` is what the backward pass keeps of a micro-batch, `peak_bytes` the largest sum of tensors at one
    moment (the program itself comes on top). `tokens` is the length of the run, 0 when it is given in time.
    `flops_per_token` counts forward and backward. `active_parameters` leaves out experts that a token is not routed to.
    A reference model that scores tokens is not counted: only its checkpoint knows how large it is.
    """

    parameters: int
    active_parameters: int
    ternary_parameters: int
    embedding_parameters: int
    optimizer_bytes: int
    weight_bytes: int
    gradient_bytes: int
    activation_bytes: int
    peak_bytes: int
    tokens: int
    flops_per_token: int


def estimate(config: Config) -> Estimate:
    """The costs of a configuration. Raises DataError when its tokenizer file cannot be read."""
    words = vocabulary(config)
    found = weights(config, words)
    parameters, matrices = total(found), total(of_role(found, "matrix"))
    state, kept = state_bytes(config, found), activation_bytes(config, words)
    learning = trained(config, found)
    return Estimate(
        parameters=parameters,
        active_parameters=sum(weight.active * times for weight, times in found.items()),
        ternary_parameters=matrices if config.model.linear == "ternary" else 0,
        embedding_parameters=total(of_role(found, "embedding")) + total(of_role(found, "head")),
        optimizer_bytes=state,
        weight_bytes=parameters * FLOAT,
        gradient_bytes=total(learning) * FLOAT,
        activation_bytes=kept,
        peak_bytes=parameters * FLOAT + state + _passing_peak(config, words, learning, kept),
        tokens=planned_tokens(config),
        flops_per_token=flops_per_token(config, words),
    )


def vocabulary(config: Config) -> int:
    """Tokens of the vocabulary, specials included. Raises DataError when a given tokenizer.json cannot be read."""
    if config.data.tokenizer == "bytes":
        return BYTES_VOCABULARY
    if config.data.vocab_size:
        return config.data.vocab_size
    where = sanitize_line(config.data.tokenizer_file)
    try:
        path = Path(config.data.tokenizer_file).expanduser()
        return _vocabulary_of(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise DataError(f"cannot read the tokenizer: {error.strerror}", where=where, fix=CHECK_FILE) from None
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError):
        raise DataError("cannot be read as a tokenizer.json", where=where, fix=CHECK_FILE) from None


def planned_tokens(config: Config) -> int:
    """Tokens of the whole steps of a run; 0 when its length is given in time."""
    training = config.training
    if training.tokens:
        return math.ceil(training.tokens / config.tokens_per_step) * config.tokens_per_step
    return training.steps * config.tokens_per_step


def _passing_peak(config: Config, words: int, learning: Weights, kept: int) -> int:
    """The most of what comes and goes in a step: at the losses, in the backward pass, or at the update."""
    gradients = total(learning) * FLOAT
    earlier = gradients if config.training.accumulation > 1 or _compares_gradients(config) else 0
    at_loss = kept + earlier + max(_loss_bytes(config, words), backward_bytes(config, learning))
    return max(at_loss, gradients + passing_bytes(config, learning))


def _compares_gradients(config: Config) -> bool:
    """One gradient waits for the other while their cosine is measured."""
    return config.collider.mode != "off" and config.collider.cosine_every > 0


def _loss_bytes(config: Config, words: int) -> int:
    """What passes while the losses are taken, or the first of their gradients.

    A chunk has its logits, log-probabilities, probabilities and a product of two, and the chunk before it still its
    probabilities. Or the gradient of the head is there one more time; for further tokens two more, what one adds and
    the sum. Or what one of their modules computes again.
    """
    sizes, further = sizes_of(config), config.mtp.horizon > 0
    head = words * config.model.d_model * FLOAT
    all_logits, most = sizes.tokens * words * FLOAT, LOGITS_BYTES[device_type(config.hardware)]
    logits = min(all_logits, most)
    chunk = (4 + (all_logits > most)) * logits
    states = config.loop.count * sizes.tokens * config.model.d_model * FLOAT
    passing = max(chunk, logits + head, 2 * head * further, prediction_again_bytes(config))
    return states + prediction_bytes(config, words) + passing


@lru_cache(maxsize=4)
def _vocabulary_of(path: Path, _changed: int) -> int:
    """Largest token number of a tokenizer.json, plus one; read again when the file has changed."""
    table = json.loads(read_regular(path, TOKENIZER_BYTES).decode("utf-8-sig"))
    ids = [*table["model"]["vocab"].values(), *(token["id"] for token in table.get("added_tokens", ()))]
    if type(most := max(ids)) is not int or not 0 <= most < VOCABULARY:
        raise ValueError("its token numbers are not those of a vocabulary")
    return most + 1
