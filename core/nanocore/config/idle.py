"""Keys that nothing reads while others have certain values; a user who sets one is told so, not left to wonder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from nanocore.config.fields import fields
from nanocore.config.literals import literal

Values = Callable[[str], Any]  # from a dotted key to its value, which need not be valid


@dataclass(frozen=True)
class Idle:
    """`keys` have no effect while each key of `when` has one of its values."""

    when: Mapping[str, tuple[object, ...]]
    keys: tuple[str, ...]

    def holds(self, value: Values) -> bool:
        return all(value(key) in settings for key, settings in self.when.items())

    def state(self, value: Values) -> str:
        """The values that hold it, in words."""
        return " and ".join(f"{key} = {literal(value(key))}" for key in self.when)


IDLE = (
    Idle({"model.linear": ("float",)}, ("model.group_size", "logging.layers_every")),
    Idle({"mhc.streams": (1,)}, ("mhc.dynamic", "mhc.every")),
    Idle({"data.workers": (0,)}, ("data.prefetch",)),
    Idle(
        {"optimizer.matrices": ("adamw", "lion")},
        ("optimizer.momentum", "optimizer.nesterov", "optimizer.newton_schulz_steps", "optimizer.shape_scale"),
    ),
    # Stream maps always train with AdamW; one stream has none.
    Idle(
        {"optimizer.matrices": ("muon", "lion"), "optimizer.others": ("lion",), "mhc.streams": (1,)},
        ("optimizer.eps",),
    ),
    Idle({"schedule.kind": ("cosine", "linear", "constant")}, ("schedule.decay_fraction", "schedule.decay_shape")),
    Idle({"schedule.kind": ("constant",)}, ("schedule.final_fraction", "schedule.decay_weight_decay")),
    Idle(
        {"schedule.kind": ("wsd",), "schedule.decay_fraction": (0,)},
        ("schedule.decay_shape", "schedule.final_fraction", "schedule.decay_weight_decay"),
    ),
    Idle(
        {"optimizer.matrix_weight_decay": (0,), "optimizer.other_weight_decay": (0,)}, ("schedule.decay_weight_decay",)
    ),
)


def idle(value: Values) -> Iterator[tuple[str, Idle]]:
    """Every key whose value differs from the default and has no effect, with the reason."""
    for reason in IDLE:
        if reason.holds(value):
            yield from ((key, reason) for key in reason.keys if value(key) != default(key))


def of_table(table: Mapping[str, Any]) -> Values:
    """The values of a table of sections; the default where it says nothing."""

    def value(key: str) -> Any:
        section, _, name = key.partition(".")
        keys = table.get(section)
        return keys.get(name, default(key)) if isinstance(keys, dict) else default(key)

    return value


def default(key: str) -> Any:
    """The default of a dotted key."""
    return _defaults()[key]


@cache
def _defaults() -> dict[str, Any]:
    return {field.key: field.default for field in fields()}
