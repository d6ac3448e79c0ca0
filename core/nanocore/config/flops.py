"""Arithmetic of a training token, from the schema alone: what the model needs, and apart from it what is recomputed."""

from __future__ import annotations

from nanocore.config.layers import is_delta, passes
from nanocore.config.parameters import Weights, block_weights, delta_heads, feed_forward_weights, of_role, plain
from nanocore.config.schema import Config

FORWARD = 2  # operations for a weight: a product and a sum


def flops_per_token(config: Config, words: int) -> int:
    """Forward and backward pass of one token, on average over a sequence; every turn of a loop counts."""
    layers = range(config.model.n_layers)
    blocks = sum(passes(config, layer) * _block(config, layer) for layer in layers)
    head = FORWARD * words * config.model.d_model * config.loop.count
    keep = config.collider.keep
    if config.loop.stage == "gate":  # no backward pass but the gate's
        return blocks + head
    if config.collider.mode == "off":
        return 3 * (blocks + head) + _prediction(config, words)
    behind = int((1 + 2 * keep) * blocks) if config.collider.mode == "full" else 3 * blocks
    return behind + int((1 + 3 * keep) * head) + _prediction(config, words)  # the head scores all tokens first


def recomputed_per_token(config: Config) -> int:
    """What activation checkpointing computes again of one token: forward passes, no part of `flops_per_token`."""
    mode, layers = config.training.activation_checkpointing, range(config.model.n_layers)
    if mode == "none" or config.loop.stage == "gate":  # whose backward pass does not reach the blocks
        return 0
    again = _block if mode == "full" else _feed_forward
    modules = config.mtp.horizon if config.mtp.kind == "sequential" else 0
    return sum(passes(config, layer) * again(config, layer) for layer in layers) + modules * again(plain(config), 0)


def _block(config: Config, layer: int) -> int:
    """Forward through a block: its matrices, those of active experts alone, their router, and what mixes tokens."""
    mixer = _delta_rule(config) if is_delta(config, layer) else _attention(config)
    return FORWARD * _multiplying(config, block_weights(config, layer)) + mixer


def _feed_forward(config: Config, layer: int) -> int:
    return FORWARD * _multiplying(config, feed_forward_weights(config, layer))


def _multiplying(config: Config, found: Weights) -> int:
    router = config.moe.experts * config.model.d_model * any(weight.used for weight in found)
    return router + _active(of_role(found, "matrix"))


def _active(found: Weights) -> int:
    return sum(weight.active * times for weight, times in found.items())


def _attention(config: Config) -> int:
    """Scores and weighted values: a token sees (T + 1) / 2 tokens on average."""
    return 2 * config.model.n_heads * config.head_dim * (config.model.context_length + 1)


def _delta_rule(config: Config) -> int:
    """Products in chunks of c tokens and with the state; convolution, strength and decay."""
    delta, (heads, head_dim) = config.delta, delta_heads(config)
    chunk = min(delta.chunk, config.model.context_length)
    rule = heads * head_dim * (8 * chunk + 6 * head_dim)
    return rule + 6 * delta.conv * heads * head_dim + 2 * config.model.d_model * heads * (1 + delta.gated)


def _prediction(config: Config, words: int) -> int:
    """Heads for further tokens, each with the whole unembedding."""
    width, horizon = config.model.d_model, config.mtp.horizon
    one = FORWARD * width * (words + width)
    if config.mtp.kind == "sequential":
        one += FORWARD * width**2 + _block(plain(config), 0)
    return 3 * horizon * one
