"""What a configuration costs: parameters, memory and arithmetic, from the schema alone (no torch)."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from math import factorial
from pathlib import Path
from typing import Literal

from nanocore.config.activations import FLOAT, activation_bytes, shape
from nanocore.config.machine import device_type
from nanocore.config.schema import BYTES_VOCABULARY, Config
from nanocore.errors import DataError
from nanocore.files import read_regular
from nanocore.limits import LOGITS_BYTES, STACK_BYTES, TOKENIZER_BYTES, VOCABULARY
from nanocore.runs.text import sanitize_line

CHECK_FILE = "check data.tokenizer_file"
Role = Literal["matrix", "embedding", "head", "norm", "mixing"]


@dataclass(frozen=True)
class Count:
    """Parameters of one role: how many numbers, in how many tensors."""

    values: int = 0
    tensors: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.values + other.values, self.tensors + other.tensors)

    def __mul__(self, times: int) -> Count:
        return Count(self.values * times, self.tensors * times)


@dataclass(frozen=True)
class Estimate:
    """Counts and bytes of one process. Parameters, weights, gradients and optimizer state are exact.

    `activation_bytes` is what the backward pass keeps of a micro-batch, `peak_bytes` the largest sum of tensors at one
    moment (the program itself comes on top). `tokens` is the length of the run, 0 when it is given in time.
    `flops_per_token` counts forward and backward.
    """

    parameters: int
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
    counts = parameter_counts(config, words)
    parameters = sum(count.values for count in counts.values())
    ternary = counts["matrix"].values if config.model.linear == "ternary" else 0
    weights = parameters * FLOAT
    state = _optimizer_bytes(config, counts)
    kept = activation_bytes(config, words, ternary)
    return Estimate(
        parameters=parameters,
        ternary_parameters=ternary,
        embedding_parameters=counts["embedding"].values + counts["head"].values,
        optimizer_bytes=state,
        weight_bytes=weights,
        gradient_bytes=weights,
        activation_bytes=kept,
        peak_bytes=_peak_bytes(config, counts, words, weights + state, kept),
        tokens=_tokens(config),
        flops_per_token=_flops_per_token(config, counts, words),
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


def parameter_counts(config: Config, words: int) -> dict[Role, Count]:
    """Parameters by role, exactly those of `nanocore.model.transformer.Transformer`."""
    model, sub_layers = config.model, 2 * config.model.n_layers
    width, inner = model.d_model, model.n_heads * config.head_dim
    keys = model.n_kv_heads * config.head_dim
    attention = Count(2 * width * (inner + keys), 4)
    forward = 3 if model.activation == "swiglu" else 2
    norms = Count(2 * width, 2) + Count(2 * config.head_dim, 2) * model.qk_norm
    norms += Count(inner + model.d_ff, 2) * model.sub_norm
    return {
        "matrix": (attention + Count(forward * width * model.d_ff, forward)) * model.n_layers,
        "embedding": Count(words * width, 1),
        "head": Count(words * width, 1) * (not model.tie_embeddings),
        "norm": norms * model.n_layers + Count(width, 1),
        "mixing": sum((_maps(config, 0 < i < sub_layers - 1) for i in range(sub_layers)), Count()),
    }


def _maps(config: Config, mixes: bool) -> Count:
    """The stream maps around one sub-layer; H_res exists where it can matter."""
    streams = config.mhc.streams
    if streams == 1:
        return Count()
    logits = 2 * streams + factorial(streams) * mixes
    maps = 2 + mixes
    dynamic = Count(streams * config.model.d_model * logits + maps, 2)
    return Count(logits, maps) + dynamic * config.mhc.dynamic


def _optimizer_bytes(config: Config, counts: dict[Role, Count]) -> int:
    """Muon and Lion keep one float32 a value, AdamW two and a step counter for each tensor."""
    methods = dict.fromkeys(counts, config.optimizer.others)
    methods |= {"matrix": config.optimizer.matrices, "mixing": "adamw"}
    total = 0
    for role, count in counts.items():
        adamw = methods[role] == "adamw"
        total += count.values * FLOAT * (1 + adamw) + count.tensors * FLOAT * adamw
    return total


def _peak_bytes(config: Config, counts: dict[Role, Count], words: int, resident: int, kept: int) -> int:
    """The larger of two moments: the loss, with everything kept, and the update, with all gradients there.

    At the loss a chunk has its logits, log-probabilities, probabilities and a product of two, and the chunk before it
    still its probabilities; or the gradient of the head one more copy.
    """
    gradients = sum(count.values for count in counts.values()) * FLOAT
    head = words * config.model.d_model * FLOAT
    all_logits, most = shape(config).tokens * words * FLOAT, LOGITS_BYTES[device_type(config.hardware)]
    logits = min(all_logits, most)
    earlier = gradients if config.training.accumulation > 1 else 0
    at_loss = kept + earlier + max((4 + (all_logits > most)) * logits, logits + head)
    at_update = gradients + (_muon_bytes(config) if config.optimizer.matrices == "muon" else 0)
    return resident + max(at_loss, at_update)


def _muon_bytes(config: Config) -> int:
    """Passing tensors of Muon's largest batch: directions, their stack, two iterates and Gram matrices."""
    model, inner = config.model, config.model.n_heads * config.head_dim
    keys = model.n_kv_heads * config.head_dim
    widths = [inner, inner, keys, keys] + [model.d_ff] * (3 if model.activation == "swiglu" else 2)
    largest = 0
    for width, count in Counter(widths).items():
        matrix, gram = model.d_model * width * FLOAT, min(model.d_model, width) ** 2 * FLOAT
        batch = min(count * model.n_layers, max(1, STACK_BYTES[device_type(config.hardware)] // matrix))
        largest = max(largest, batch * ((3 + config.optimizer.nesterov) * matrix + 4 * gram))
    return largest


def _tokens(config: Config) -> int:
    training = config.training
    if training.tokens:
        return math.ceil(training.tokens / config.tokens_per_step) * config.tokens_per_step
    return training.steps * config.tokens_per_step


def _flops_per_token(config: Config, counts: dict[Role, Count], words: int) -> int:
    """6 for each weight of a matmul (forward 2, backward 4), and causal attention: 6 n_heads head_dim (T + 1) a layer."""
    model = config.model
    weights = counts["matrix"].values + words * model.d_model
    return 6 * weights + 6 * model.n_layers * model.n_heads * config.head_dim * (model.context_length + 1)


@lru_cache(maxsize=4)
def _vocabulary_of(path: Path, _changed: int) -> int:
    """Largest token number of a tokenizer.json, plus one; read again when the file has changed."""
    table = json.loads(read_regular(path, TOKENIZER_BYTES).decode("utf-8-sig"))
    ids = [*table["model"]["vocab"].values(), *(token["id"] for token in table.get("added_tokens", ()))]
    if type(most := max(ids)) is not int or not 0 <= most < VOCABULARY:
        raise ValueError("its token numbers are not those of a vocabulary")
    return most + 1
