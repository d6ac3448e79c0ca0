"""Bytes that the backward pass keeps from the forward pass of one micro-batch: layers, residual streams, and ends.

The counts follow `nanocore.model` and `nanocore.objective` as they run without torch.compile.
"""

from __future__ import annotations

from nanocore.config.layer_activations import (
    FLOAT,
    INTEGER,
    Sizes,
    attention,
    delta_net,
    experts,
    feed_forward,
    linear_input,
    matrix_copies,
    sizes_of,
)
from nanocore.config.layers import has_experts, is_delta, mixes_streams, passes
from nanocore.config.parameters import Weights, of_role, plain, prediction_heads, residual_logits, total
from nanocore.config.schema import Config

GRADIENTS = 2  # of the widest hidden values, while all that one part kept is there again
STEPS = 42  # copies of a residual map while Sinkhorn's 20 steps by columns and rows are gone through backwards
FP4_COPIES = 12  # of the widest operand, while it is rotated, cut into blocks and rounded (measured: 9 to 14)


def activation_bytes(config: Config, words: int) -> int:
    """Everything kept when the forward pass of one micro-batch has ended, parameters apart."""
    sizes = sizes_of(config)
    if config.loop.stage == "gate":  # nothing else has a backward pass
        return config.loop.count * _gate(config, sizes)
    kept = sum(passes(config, layer) * _kept_of_block(config, sizes, layer) for layer in range(config.model.n_layers))
    return kept + _shared_streams(config, sizes) + _ends(config, sizes, words) + _prediction(config, sizes, words)


def backward_bytes(config: Config, found: Weights) -> int:
    """The most that passes in the backward pass: what checkpointing brings back, and copies that one part works on."""
    sizes, layers = sizes_of(config), range(config.model.n_layers)
    if config.loop.stage == "gate":
        return 0
    passing = 0
    widest = sizes.tokens * max(max(weight.shape) for weight in of_role(found, "matrix") if not weight.used)
    if config.training.activation_checkpointing != "none":
        part = block if config.training.activation_checkpointing == "full" else _second_part
        passing = max(part(config, sizes, layer) for layer in layers) + GRADIENTS * widest * sizes.inner
    if config.mhc.dynamic and config.mhc.kind == "sinkhorn":
        passing += STEPS * config.mhc.streams**2 * sizes.tokens * FLOAT
    if config.fp4.format != "off":
        passing += FP4_COPIES * widest * FLOAT
    return passing


def prediction_bytes(config: Config, words: int) -> int:
    """What the heads for further tokens keep while their gradients are computed, one head's losses at a time.

    An independent head is gone before the next one begins; sequential modules keep theirs together.
    """
    sizes, width = sizes_of(config), config.model.d_model
    if not config.mtp.horizon:
        return 0
    matrices = 1 if config.mtp.kind == "independent" else 2
    one = linear_input(config, sizes, matrices * width) + matrix_copies(config, sizes, matrices * width**2)
    one += _norm(config, sizes)
    losses = _cross_entropy(config, sizes, words, sizes.tokens)
    if config.mtp.kind == "independent":
        return losses + one
    return losses + config.mtp.horizon * (one + 2 * _norm(config, sizes) + _kept_of_block(plain(config), sizes, 0))


def prediction_again_bytes(config: Config) -> int:
    """What checkpointing brings back of one sequential module, while its gradients are computed."""
    if not config.mtp.horizon or config.mtp.kind == "independent":
        return 0
    sizes, module = sizes_of(config), plain(config)
    return block(module, sizes, 0) - _kept_of_block(module, sizes, 0)


def _kept_of_block(config: Config, sizes: Sizes, layer: int) -> int:
    """One pass through a block; with checkpointing only the input of what is computed again."""
    residual = sizes.tokens * config.model.d_model * FLOAT
    if config.training.activation_checkpointing == "full":
        return config.mhc.streams * residual
    if config.training.activation_checkpointing == "selective":
        return block(config, sizes, layer) - _second_part(config, sizes, layer) + residual
    return block(config, sizes, layer)


def block(config: Config, sizes: Sizes, layer: int) -> int:
    """One pass through a block, nothing left out."""
    first = delta_net(config, sizes) if is_delta(config, layer) else attention(config, sizes)
    kept = first + _second_part(config, sizes, layer) + 2 * _norm(config, sizes)
    return kept + _connection(config, sizes, 2 * layer) + _connection(config, sizes, 2 * layer + 1)


def _second_part(config: Config, sizes: Sizes, layer: int) -> int:
    return experts(config, sizes) if has_experts(config, layer) else feed_forward(config, sizes, config.model.d_ff)


def _norm(config: Config, sizes: Sizes) -> int:
    """A norm of the residual width: its input and the inverse root mean square."""
    return sizes.tokens * (config.model.d_model + 1) * FLOAT


def _connection(config: Config, sizes: Sizes, sub_layer: int) -> int:
    """The streams before a sub-layer, its output, and each token's maps."""
    n = config.mhc.streams
    if n == 1:
        return 0
    floats = (n + 1) * config.model.d_model
    if config.mhc.dynamic:
        mixes, logits = mixes_streams(config, sub_layer), residual_logits(config)
        floats += 1 + 5 * n  # the root mean square, logits, maps and H_post
        floats += (2 * logits + n * (n + 1)) * mixes  # logits of H_res before and after alpha, H_pre beside H_res
    return sizes.tokens * floats * FLOAT


def _shared_streams(config: Config, sizes: Sizes) -> int:
    """What the blocks count too often or not at all.

    The first streams are equal: one is kept, and a copy of all where maps depend on the token. What a turn of the loop
    leaves is read by the blocks behind the loop and by the next turn.
    """
    loop, streams = config.loop, config.mhc.streams
    copied = config.mhc.dynamic and config.training.activation_checkpointing != "full"
    first = 1 if copied else 1 - streams
    shared = (loop.count - 1) * streams if loop.after else 0
    return (first - shared) * sizes.tokens * config.model.d_model * FLOAT


def _ends(config: Config, sizes: Sizes, words: int) -> int:
    """Token numbers, rotary angles, final norms and losses of all turns, and what exit gates or filters add."""
    turns, n = config.loop.count, sizes.tokens
    kept = n * INTEGER + _angles(config, sizes) + _norm(config, sizes)
    separate = config.mhc.streams > 1 or config.loop.after > 0  # else the next turn's first norm keeps the same
    kept += (turns - 1) * (_norm(config, sizes) if separate else n * FLOAT)
    left = int(n * config.collider.keep) if config.collider.mode != "off" else n
    kept += turns * _cross_entropy(config, sizes, words, left)
    kept += turns * _gate(config, sizes) if turns > 1 else 0
    if config.collider.mode == "full" and config.data.isolate_documents:
        kept += n * config.model.context_length  # one mask for all layers
    return kept


def _angles(config: Config, sizes: Sizes) -> int:
    """Cosines and sines, which attention in bfloat16 has as copies of its own; what is computed again needs them."""
    attends = any(not is_delta(config, layer) for layer in range(config.model.n_layers)) and not sizes.autocast
    needed = attends or config.training.activation_checkpointing == "full"
    return sizes.tokens * 2 * config.head_dim * FLOAT if needed else 0


def _gate(config: Config, sizes: Sizes) -> int:
    """One reading of the exit gate: the normed residual, its norm where nothing else keeps the same, probabilities."""
    separate = config.mhc.streams > 1 or config.loop.stage == "gate"
    floats = config.model.d_model + 8
    return sizes.tokens * floats * FLOAT + (_norm(config, sizes) if separate else 0)


def _cross_entropy(config: Config, sizes: Sizes, words: int, tokens: int) -> int:
    """The gradients that the fused cross-entropy of so many tokens has ready."""
    return config.model.d_model * (tokens * sizes.inner + words * FLOAT)


def _prediction(config: Config, sizes: Sizes, words: int) -> int:
    """Gradients of the further tokens' losses: by the hidden states, the heads, the unembedding and the embedding."""
    width = config.model.d_model
    if not config.mtp.horizon:
        return 0
    tables = 1 + (config.mtp.kind == "sequential" and not config.model.tie_embeddings)
    return FLOAT * (sizes.tokens * width + total(prediction_heads(config)) + tables * words * width)
