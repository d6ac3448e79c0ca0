"""The names of a model's matrices, from the schema alone, and which of them a pattern means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from nanocore.config.layers import has_experts, is_delta
from nanocore.config.parameters import plain
from nanocore.config.schema import Config
from nanocore.errors import UsageError


def matrix_names(config: Config) -> list[str]:
    """Those that `Transformer.roles` calls matrices, in its order."""
    return [f"{name}.weight" for name in (*_blocks(config), *_prediction_heads(config))]


def matching(names: Sequence[str], patterns: Iterable[str]) -> list[str]:
    """The names that some pattern fits (* stands for any text), in their own order.

    Raises UsageError for a pattern that fits none.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        found = {name for name in names if fnmatchcase(name, pattern)}
        if not found:
            example = f"write a name such as {names[0]}" if names else "the model has no matrix"
            raise UsageError(f"{pattern!r} fits no matrix of the model", where="fire.parameters", fix=example)
        chosen |= found
    return [name for name in names if name in chosen]


def _blocks(config: Config) -> Iterator[str]:
    for layer in range(config.model.n_layers):
        yield from _block(config, layer, f"blocks.{layer}")


def _block(config: Config, layer: int, place: str) -> Iterator[str]:
    gate = ("gate",) if is_delta(config, layer) and config.delta.gated else ()
    yield from (f"{place}.attention.{part}" for part in ("query", "key", "value", *gate, "output"))
    parts = (*(("gate",) if config.model.activation == "swiglu" else ()), "up", "down")
    yield from (f"{place}.feed_forward.{part}" for part in parts)
    if has_experts(config, layer) and config.moe.shared:
        yield from (f"{place}.feed_forward.shared.{part}" for part in parts)


def _prediction_heads(config: Config) -> Iterator[str]:
    for head in range(config.mtp.horizon):
        place = f"prediction_heads.heads.{head}"
        if config.mtp.kind == "independent":
            yield f"{place}.linear"
        else:
            yield f"{place}.merge"
            yield from _block(plain(config), 0, f"{place}.block")
