"""Bytes that one layer keeps for the backward pass, counted tensor by tensor as `nanocore.model` computes them.

A ternary linear keeps int8 codes of its input and of its weight, an RMS norm its input, attention its queries, keys,
values, output, log-sum-exp and mask. N tokens of a micro-batch, C = d_model, F = d_ff; what is inside a layer has the
compute dtype, residual streams and small float parts stay float32.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nanocore.config.machine import compute_bytes
from nanocore.config.parameters import delta_heads, expert_width, feed_forward_shapes
from nanocore.config.schema import Config

FLOAT = 4  # bytes of float32
INTEGER = 8  # of int64


@dataclass(frozen=True)
class Sizes:
    """Tokens N and sequences B of a micro-batch, and bytes of a value inside a layer."""

    tokens: int
    rows: int
    inner: int

    @property
    def autocast(self) -> bool:
        return self.inner != FLOAT


def sizes_of(config: Config) -> Sizes:
    """Those of one micro-batch on one process."""
    rows = config.training.batch_size // config.training.accumulation
    return Sizes(rows * config.model.context_length, rows, compute_bytes(config.hardware))


def ternary(config: Config) -> bool:
    return config.model.linear == "ternary"


def linear_input(config: Config, sizes: Sizes, width: int, readers: int = 1) -> int:
    """What `readers` linears keep of one float32 input: one set of codes, or floats, which autocast copies for each."""
    if ternary(config):
        return sizes.tokens * (width + FLOAT)
    return sizes.tokens * width * sizes.inner * (readers if sizes.autocast else 1)


def matrix_copies(config: Config, sizes: Sizes, values: int) -> int:
    """What stands for latent matrices: codes, a byte each, and scales of groups; or float matrices under autocast."""
    if ternary(config):
        return values + (values // config.model.group_size * FLOAT if config.model.group_size else 0)
    return values * sizes.inner if sizes.autocast and config.fp4.format == "off" else 0


def attention(config: Config, sizes: Sizes) -> int:
    """One attention layer behind its norm: projections, QK norms, and scaled dot-product attention."""
    model, n, inner = config.model, sizes.tokens, sizes.inner
    queries, keys = model.n_heads * config.head_dim, model.n_kv_heads * config.head_dim
    kept = linear_input(config, sizes, model.d_model, 3)
    kept += matrix_copies(config, sizes, 2 * model.d_model * (queries + keys))
    kept += n * (queries + FLOAT) if ternary(config) else 0  # a float output reads what is kept
    kept += n * (queries + 2 * keys) * inner + _attention_output(config, sizes, queries)
    if model.qk_norm:
        kept += n * ((queries + keys) * inner + (model.n_heads + model.n_kv_heads) * FLOAT)
    if model.sub_norm:
        kept += n * FLOAT + (0 if ternary(config) else n * queries * inner)
    return kept + (n * 4 * config.head_dim * inner if sizes.autocast else 0)  # the angles as bfloat16, twice


def _attention_output(config: Config, sizes: Sizes, queries: int) -> int:
    """The output and how it was come by; attention on kept tokens alone computes the weights again."""
    model, n = config.model, sizes.tokens
    output = n * queries * sizes.inner
    if config.collider.mode == "full":
        return output if model.sub_norm or not ternary(config) else 0
    mask = n * model.context_length * sizes.inner if config.data.isolate_documents else 0  # as numbers
    return output + n * model.n_heads * FLOAT + mask


def delta_net(config: Config, sizes: Sizes) -> int:
    """One DeltaNet layer behind its norm: projections, convolution, gate, and the chunks of the delta rule."""
    width, delta, (heads, head_dim) = config.model.d_model, config.delta, delta_heads(config)
    n, inner, total = sizes.tokens, sizes.inner, heads * head_dim
    readers = 3 + delta.gated
    kept = linear_input(config, sizes, width, readers)
    kept += matrix_copies(config, sizes, (readers + 1) * width * total)
    kept += n * (total + FLOAT) if ternary(config) else n * total * inner
    if ternary(config) or sizes.autocast:
        kept += n * width * FLOAT  # strength and decay read the float32 input
    return kept + _delta_rule(config, sizes, heads, head_dim)


def _delta_rule(config: Config, sizes: Sizes, heads: int, head_dim: int) -> int:
    delta, n, inner, total = config.delta, sizes.tokens, sizes.inner, heads * head_dim
    chunk = min(delta.chunk, config.model.context_length)
    wide = 10 * inner + 12 * FLOAT if sizes.autocast else 23 * FLOAT
    wide -= 3 * inner * ((not delta.gated) + (not delta.conv))
    matrices = FLOAT * heads * chunk * (5 if delta.gated else 2)
    states = 2 * FLOAT * heads * head_dim**2 // chunk
    small = heads * (36 if delta.gated else 24)
    if config.data.isolate_documents:
        small += chunk + 9 if delta.gated else FLOAT * chunk  # which tokens of a chunk see each other
    return n * (total * wide + matrices + states + small)


def feed_forward(config: Config, sizes: Sizes, d_ff: int) -> int:
    """One feed-forward layer behind its norm."""
    values = sum(rows * columns for rows, columns in feed_forward_shapes(config, d_ff))
    return _transform(config, sizes, d_ff) + matrix_copies(config, sizes, values)


def _transform(config: Config, sizes: Sizes, d_ff: int) -> int:
    """What feed-forward matrices do to N tokens. SwiGLU keeps gate, silu(gate) and up; squared ReLU its root."""
    swiglu, hidden = config.model.activation == "swiglu", sizes.tokens * d_ff * sizes.inner
    kept = linear_input(config, sizes, config.model.d_model, 1 + swiglu)
    kept += sizes.tokens * (d_ff + FLOAT) if ternary(config) else hidden
    kept += 3 * hidden if swiglu else hidden
    return kept + (hidden + sizes.tokens * FLOAT if config.model.sub_norm else 0)


def experts(config: Config, sizes: Sizes) -> int:
    """One layer of experts behind its norm: router, tokens sorted by expert, each expert, and the weighted sum."""
    moe, width, d_ff = config.moe, config.model.d_model, expert_width(config)
    copies = replace(sizes, tokens=sizes.tokens * moe.active)
    kept = _router(config, sizes) + 2 * INTEGER * copies.tokens + _transform(config, copies, d_ff)
    values = sum(rows * columns for rows, columns in feed_forward_shapes(config, d_ff))
    kept += matrix_copies(config, sizes, moe.experts * values)
    kept += copies.tokens * (width * sizes.inner + FLOAT)  # outputs and their weights
    if moe.shared:
        kept += feed_forward(config, sizes, moe.shared * d_ff)
        if not ternary(config) and not sizes.autocast:
            kept -= sizes.tokens * width * FLOAT  # the router keeps the same input
    return kept


def _router(config: Config, sizes: Sizes) -> int:
    moe, n = config.moe, sizes.tokens
    kept = n * FLOAT * (config.model.d_model + moe.experts) + INTEGER * n * moe.active
    if moe.active > 1 or moe.experts == 1:
        kept += FLOAT * n * (moe.active + 1)
    return kept + (FLOAT * (n + sizes.rows * moe.experts) if moe.balance == "loss" else 0)
