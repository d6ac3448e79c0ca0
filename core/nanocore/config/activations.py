"""Bytes that the backward pass keeps from the forward pass of one micro-batch, counted tensor by tensor.

The counts follow `nanocore.model` as it runs without torch.compile: a ternary linear keeps int8 codes of its input and
of its weight, an RMS norm its input, attention its queries, keys, values, output, log-sum-exp and mask. N tokens of
a micro-batch, C = d_model, F = d_ff; residual streams stay float32, what is inside a layer has the compute dtype.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial

from nanocore.config.machine import compute_bytes
from nanocore.config.schema import Config

FLOAT = 4  # bytes of float32


@dataclass(frozen=True)
class Shape:
    """Sizes that all counts need: tokens N, bytes of an inner value, total width of query and of key-value heads."""

    tokens: int
    inner: int
    query_width: int
    key_width: int


def shape(config: Config) -> Shape:
    """The sizes of one micro-batch on one process."""
    training, model = config.training, config.model
    tokens = training.batch_size // training.accumulation * model.context_length
    inner = compute_bytes(config.hardware)
    return Shape(tokens, inner, model.n_heads * config.head_dim, model.n_kv_heads * config.head_dim)


def activation_bytes(config: Config, vocabulary: int, ternary_parameters: int) -> int:
    """Everything kept when the forward pass of one micro-batch has ended, parameters apart."""
    sizes, layers = shape(config), config.model.n_layers
    blocks = layers * (_attention(config, sizes) + _feed_forward(config, sizes)) + _residual(config, sizes)
    weights = _weight_copies(config, sizes, ternary_parameters)
    return blocks + weights + _ends(config, sizes, vocabulary)


def _attention(config: Config, sizes: Shape) -> int:
    """One attention layer behind its norm: projections, QK norms, and scaled dot-product attention."""
    model, n = config.model, sizes.tokens
    heads = model.n_heads + model.n_kv_heads
    both = sizes.query_width + sizes.key_width
    kept = _shared_input(config, sizes, 3)
    kept += n * (sizes.query_width + FLOAT) if model.linear == "ternary" else 0  # a float output reads what is kept
    kept += n * 2 * both * sizes.inner + n * model.n_heads * FLOAT  # queries, output, keys, values; log-sum-exp
    if model.qk_norm:
        kept += n * (both * sizes.inner + heads * FLOAT)
    if model.sub_norm:
        kept += n * FLOAT + (n * sizes.query_width * sizes.inner if model.linear == "float" else 0)
    if config.data.isolate_documents:
        kept += n * model.context_length * sizes.inner  # the mask, as numbers
    return kept


def _feed_forward(config: Config, sizes: Shape) -> int:
    """One feed-forward layer behind its norm. SwiGLU keeps gate, silu(gate) and up; squared ReLU its root."""
    model, n = config.model, sizes.tokens
    hidden = n * model.d_ff * sizes.inner
    kept = _shared_input(config, sizes, 2 if model.activation == "swiglu" else 1)
    kept += n * (model.d_ff + FLOAT) if model.linear == "ternary" else hidden
    kept += 3 * hidden if model.activation == "swiglu" else hidden
    return kept + (hidden + n * FLOAT if model.sub_norm else 0)


def _shared_input(config: Config, sizes: Shape, readers: int) -> int:
    """What `readers` linears keep of the normed residual: one set of codes, or floats, which autocast copies for each."""
    width = config.model.d_model
    if config.model.linear == "ternary":
        return sizes.tokens * (width + FLOAT)
    return sizes.tokens * width * sizes.inner * (readers if sizes.inner != FLOAT else 1)


def _residual(config: Config, sizes: Shape) -> int:
    """The residual streams and the norms that read them, over all sub-layers."""
    sub_layers, streams = 2 * config.model.n_layers, config.mhc.streams
    one = sizes.tokens * config.model.d_model * FLOAT
    norms = sub_layers * (one + sizes.tokens * FLOAT)
    if streams == 1:
        return norms
    written = sub_layers * one
    if config.mhc.dynamic:
        return norms + written + one + sub_layers * (streams * one + _token_maps(streams, sizes))
    return norms + written + one + (sub_layers - 1) * streams * one


def _token_maps(streams: int, sizes: Shape) -> int:
    """Logits and maps of every token: before and after alpha, sigmoids and softmax, and H_res."""
    logits = 2 * streams + factorial(streams)
    return sizes.tokens * FLOAT * (2 * logits + 4 * streams + factorial(streams) + streams**2 + 3)


def _weight_copies(config: Config, sizes: Shape, ternary_parameters: int) -> int:
    """Ternary codes, a byte each, and their scales; or the bfloat16 copies of float matrices."""
    model = config.model
    if model.linear == "ternary":
        return ternary_parameters + (ternary_parameters // model.group_size * FLOAT if model.group_size else 0)
    inside = 2 * model.d_model * (sizes.query_width + sizes.key_width)
    inside += (3 if model.activation == "swiglu" else 2) * model.d_model * model.d_ff
    return model.n_layers * inside * sizes.inner if sizes.inner != FLOAT else 0


def _ends(config: Config, sizes: Shape, vocabulary: int) -> int:
    """Token numbers, rotary angles, the final norm, and the gradients that the fused cross-entropy has ready."""
    width = config.model.d_model
    ids_and_angles = sizes.tokens * (8 + 2 * config.head_dim * FLOAT)  # cosines and sines
    final_norm = sizes.tokens * (width + 1) * FLOAT
    return ids_and_angles + final_norm + sizes.tokens * width * sizes.inner + vocabulary * width * FLOAT
