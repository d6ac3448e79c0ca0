"""The techniques as a person meets them: their switches in order, what one press sets, and the numbers they yield."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from nanoconsole.services.format import number
from nanocore.analysis.stream_health import LEVELS

# Every switch, with the values to go along for those that are neither a bool nor a choice; the first of them is off.
SWITCHES: dict[str, tuple[str, ...]] = {
    "model.linear": (),
    "mhc.streams": (),
    "mhc.kind": (),
    "mhc.init": (),
    "mhc.dynamic": (),
    "mtp.horizon": ("0", "1", "2", "4"),
    "collider.mode": (),
    "optimizer.matrices": (),
    "optimizer.orthogonalisation": (),
    "optimizer.state": (),
    "galore.rank_fraction": ("0", "0.25", "0.5"),
    "loop.count": ("1", "2", "4"),
    "moe.experts": ("0", "4", "8"),
    "delta.pattern": ("", "DDDA", "DA", "D"),
    "fp4.format": (),
    "objective.label_smoothing": ("0", "0.1"),
    "objective.z_loss": ("0", "0.0001"),
    "objective.entropy_bonus": ("0", "0.01"),
    "training.activation_checkpointing": (),
    "fire.at_step": ("0", "100"),
    "optimizer.others": (),
    "schedule.kind": (),
}
Last = Callable[[str], float | str | None]  # from a metric's name to its newest value; "nan" and "inf" may be words


def switched(table: Mapping[str, Any]) -> dict[str, Any]:
    """The switches that a resolved configuration (sections by name) has away from their defaults."""
    from nanocore.config.idle import default, of_table

    value = of_table(table)
    return {key: value(key) for key in SWITCHES if value(key) != default(key)}


def with_details(table: Mapping[str, Any]) -> dict[str, Any]:
    """The switches that are on, each followed by those of its details that differ from their defaults and are read."""
    from nanocore.config.idle import asleep, default, details, of_table

    value = of_table(table)
    unread = {key for key, _ in asleep(value)}
    found: dict[str, Any] = {}
    for switch, chosen in switched(table).items():
        found[switch] = chosen
        found |= {
            key: value(key)
            for key in details(switch)
            if key not in SWITCHES and key not in unread and value(key) != default(key)
        }
    return found


def state_form(table: Mapping[str, Any], *, projects: bool = True) -> str:
    """How Muon keeps the state of matrices: `int8, GaLore 1/4 (int4)`; "" for float32 in full.

    Without `projects` GaLore is on, but no matrix is smaller in a subspace: then all are in full.
    """
    from nanocore.config.idle import of_table

    value, on = of_table(table), switched(table)
    if not projects:
        on.pop("galore.rank_fraction", None)
    parts = [str(value("optimizer.state"))]
    if "galore.rank_fraction" in on:
        projector = value("galore.projector")
        parts.append(f"GaLore {_fraction(on['galore.rank_fraction'])}" + f" ({projector})" * (projector != "float32"))
    return ", ".join(parts) if on.keys() & {"optimizer.state", "galore.rank_fraction"} else ""


def _fraction(value: object) -> str:
    """0.25 as 1/4; what is no simple fraction, or no number at all, as it is."""
    simple = Fraction(value).limit_denominator(16) if isinstance(value, float) and 0 < value < 1 else None
    return str(simple) if simple is not None and float(simple) == value else str(value)


def numbers(last: Last) -> list[tuple[str, str]]:
    """Label and newest value of every technique that records something; nothing of one that is off.

    A loss term of exactly 0 adds nothing: it is written because another one is on.
    """
    found: list[tuple[str, str]] = []
    for label, names, say in NUMBERS:
        values = [last(name) for name in names]
        if all(_tells(name, value) for name, value in zip(names, values, strict=True)):
            found.append((label, say(*values)))
    return found


def _tells(name: str, value: float | str | None) -> bool:
    return value is not None and not (value == 0 and name.startswith("loss/"))


def _plain(value: float | str) -> str:
    return value if isinstance(value, str) else number(value)


def _share(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.1%}"


def _health(value: float | str) -> str:
    return LEVELS[int(value)] if isinstance(value, int | float) and value in (0, 1, 2) else _plain(value)


def _quantiles(*values: float | str) -> str:
    return f"{' / '.join(map(_plain, values))} (10, 50, 90 %)"


NUMBERS: tuple[tuple[str, tuple[str, ...], Callable[..., str]], ...] = (
    ("streams", ("mhc/health",), _health),
    ("MTP", ("loss/mtp",), _plain),
    ("kept", ("collider/kept_fraction",), _share),
    (
        "importance",
        ("collider/importance_p10", "collider/importance_p50", "collider/importance_p90"),
        _quantiles,
    ),
    ("loss of kept", ("loss/kept",), _plain),
    ("gradient cosine", ("collider/gradient_cosine",), _plain),
    ("turns", ("loop/mean_turns",), _plain),
    ("exit entropy", ("loop/exit_entropy",), _plain),
    ("expected loss", ("loss/expected",), _plain),
    ("gate loss", ("loss/gate",), _plain),
    ("max violation", ("moe/max_violation",), _plain),
    ("load entropy", ("moe/load_entropy",), _plain),
    ("balance loss", ("loss/balance",), _plain),
    ("smoothing", ("loss/smoothing",), _plain),
    ("z-loss", ("loss/z",), _plain),
    ("entropy bonus", ("loss/entropy_bonus",), _plain),
)
