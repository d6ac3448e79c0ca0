"""What stands in which layer of a model; the model is built by it and estimates count by it."""

from __future__ import annotations

from nanocore.config.schema import Config


def is_delta(config: Config, layer: int) -> bool:
    """Whether block `layer` has a DeltaNet in place of attention."""
    pattern = config.delta.pattern
    return bool(pattern) and pattern[layer % len(pattern)] == "D"


def has_experts(config: Config, layer: int) -> bool:
    """Whether block `layer` has experts in place of the feed-forward: every `moe.every`-th, counted from the last."""
    return config.moe.experts > 0 and (config.model.n_layers - 1 - layer) % config.moe.every == 0


def mixes_streams(config: Config, sub_layer: int) -> bool:
    """Whether the residual map around a sub-layer (attention and feed-forward counted apart) can matter.

    The first one finds equal streams and the mean is taken after the last, unless a loop leads back into or out of it.
    """
    loop, last = config.loop, 2 * config.model.n_layers - 1
    after_others = sub_layer > 0 or (loop.count > 1 and not loop.before)
    before_others = sub_layer < last or (loop.count > 1 and not loop.after)
    return config.mhc.streams > 1 and after_others and before_others


def passes(config: Config, layer: int) -> int:
    """How often training runs block `layer`: those behind the loop read every turn, since each turn has its loss."""
    return 1 if layer < config.loop.before else config.loop.count
