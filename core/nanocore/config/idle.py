"""Keys that nothing reads while others have certain values; a user who sets one is told so, not left to wonder."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
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
    Idle({"model.linear": ("float",)}, ("model.group_size",)),
    Idle({"mhc.streams": (1,)}, ("mhc.dynamic", "mhc.kind", "mhc.init", "mhc.every")),
    Idle({"loop.count": (1,)}, ("loop.before", "loop.after", "loop.entropy_weight", "loop.stage", "loop.exit_threshold")),
    Idle({"loop.stage": ("gate",)}, ("loop.entropy_weight", "mtp.weight", "mtp.final_weight")),
    Idle(
        {"moe.experts": (0,)},
        ("moe.active", "moe.shared", "moe.d_expert", "moe.every", "moe.balance", "moe.bias_rate", "moe.loss_weight"),
    ),
    Idle({"moe.balance": ("loss", "none")}, ("moe.bias_rate",)),
    Idle({"moe.balance": ("bias", "none")}, ("moe.loss_weight",)),
    Idle({"delta.pattern": ("",)}, ("delta.gated", "delta.n_heads", "delta.head_dim", "delta.conv", "delta.chunk")),
    Idle(
        {"fp4.format": ("off",)},
        (
            "fp4.forward", "fp4.input_gradient", "fp4.weight_gradient", "fp4.stochastic_rounding", "fp4.hadamard",
            "fp4.execution",
        ),
    ),
    Idle({"fp4.weight_gradient": (False,)}, ("fp4.hadamard",)),
    Idle({"fp4.weight_gradient": (False,), "fp4.input_gradient": (False,)}, ("fp4.stochastic_rounding",)),
    Idle({"mtp.horizon": (0,)}, ("mtp.kind", "mtp.weight", "mtp.final_weight")),
    Idle(
        {"collider.mode": ("off",)},
        ("collider.keep", "collider.importance", "collider.reference", "collider.start_step", "collider.cosine_every"),
    ),
    Idle({"collider.importance": ("loss",)}, ("collider.reference",)),
    Idle({"data.workers": (0,)}, ("data.prefetch",)),
    Idle(
        {"optimizer.matrices": ("adamw", "lion")},
        (
            "optimizer.momentum", "optimizer.nesterov", "optimizer.newton_schulz_steps", "optimizer.shape_scale",
            "optimizer.orthogonalisation", "optimizer.cautious_weight_decay", "optimizer.state",
            "galore.rank_fraction",
        ),
    ),
    Idle({"optimizer.matrix_weight_decay": (0,)}, ("optimizer.cautious_weight_decay",)),
    Idle({"optimizer.state": ("float32",)}, ("optimizer.stochastic_rounding",)),
    Idle({"optimizer.state": ("float32",), "galore.projector": ("float32",)}, ("optimizer.state_block",)),
    Idle({"galore.rank_fraction": (0,)}, ("galore.refresh_every", "galore.adaptive", "galore.projector")),
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
)  # fmt: skip


def asleep(value: Values) -> Iterator[tuple[str, Idle]]:
    """Every key that has no effect whatever its value, with the reason."""
    for reason in IDLE:
        if reason.holds(value):
            yield from ((key, reason) for key in reason.keys)


def idle(value: Values) -> Iterator[tuple[str, Idle]]:
    """Every key whose value differs from the default and has no effect, with the reason."""
    return ((key, reason) for key, reason in asleep(value) if value(key) != default(key))


def reset_idle(table: Mapping[str, Any], given: Collection[str]) -> None:
    """Keys of a table (changed in place) that the values of `given` put out of effect get their defaults again.

    So do keys that lose their effect by that, and so on; those in `given` stay as they are.
    """
    changed = set(given)
    while lost := {key for key, by in idle(of_table(table)) if key not in given and not changed.isdisjoint(by.when)}:
        for key in lost:
            section, _, name = key.partition(".")
            table[section].pop(name)
        changed |= lost


def governed_by(key: str) -> tuple[str, ...]:
    """The keys that some value of `key` alone puts out of effect: the details of a switch."""
    return tuple(dict.fromkeys(name for reason in IDLE if list(reason.when) == [key] for name in reason.keys))


def details(key: str) -> tuple[str, ...]:
    """The keys that some value of `key` puts out of effect, alone or together with others."""
    return tuple(dict.fromkeys(name for reason in IDLE if key in reason.when for name in reason.keys))


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
