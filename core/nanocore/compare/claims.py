"""What others say of a variant, with the scale they say it at, beside what this experiment measured of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nanocore.compare.spec import BASELINE, Claim, Spec

Row = Mapping[str, Any]
NOT_MEASURED = "not measured here"
BUSY = "; the machine was busy"
SIDE_BY_SIDE = "side by side"


def claims(spec: Spec, tables: Mapping[str, list[dict[str, Any]]], *, busy: bool) -> list[dict[str, Any]]:
    """Every claim of the file in its order. `measured` is in words; the figures behind it stand in the tables.

    `busy` marks what is told of time, but for the calibrated, where other work falls on both.
    """
    rows = {kind: {row["variant"]: row for row in table} for kind, table in tables.items()}
    return [
        {"variant": name, **claim.model_dump(), "measured": _measured(claim, name, rows, busy=busy)}
        for name, part in spec.variants.items()
        for claim in part.claims
    ]


def _measured(claim: Claim, variant: str, rows: Mapping[str, Mapping[str, Row]], *, busy: bool) -> str:
    kind, tell = _TOLD[claim.measure]
    table = rows.get(kind, {})
    own, base = table.get(variant), table.get(BASELINE)
    if own is None or base is None or not own["finished"] or not base["finished"]:
        return NOT_MEASURED
    words = tell(own, base)
    return words + (BUSY if busy and _by_the_clock(claim, own) else "") if words else NOT_MEASURED


def _by_the_clock(claim: Claim, own: Row) -> bool:
    """Whether other work on the machine falls on the variant alone: it is a time, or a share of one, and not of a calibration."""
    calibrated = {"step_seconds": own["step_ratio_alone"], "backward_seconds": own["part_ratios_alone"].get("backward")}
    return claim.measure in (*calibrated, "seconds_to_baseline", "utilisation") and not calibrated.get(claim.measure)


def _bits(own: Row, base: Row) -> str:
    found = own["ce_difference_percent"]
    interval = f" [{found['low']:+.2f}, {found['high']:+.2f}]" if found and found["low"] is not None else ""
    return f"held-out loss {found['mean']:+.2f} %{interval}: {own['verdict']}" if found else ""


def _to_baseline(what: str) -> Callable[[Row, Row], str]:
    def tell(own: Row, base: Row) -> str:
        found = own["to_baseline"]
        if not found["seeds"]:
            return ""
        seeds = f"{found['reached']} of {found['seeds']} seeds"
        share = found[f"{what}_share"]
        if share is None:
            return f"never came to the baseline's loss ({seeds})"
        return f"{_change(share, 1.0)} {what} to the baseline's loss ({seeds})"

    return tell


def _ratio(words: str, value: Callable[[Row], float | None]) -> Callable[[Row, Row], str]:
    def tell(own: Row, base: Row) -> str:
        mine, other = value(own), value(base)
        return f"{words} {_change(mine, other)}" if mine is not None and other else ""

    return tell


def _both(words: str, key: str, form: str) -> Callable[[Row, Row], str]:
    def tell(own: Row, base: Row) -> str:
        mine, other = own[key], base[key]
        return f"{words} {mine:{form}}, baseline {other:{form}}" if mine is not None and other is not None else ""

    return tell


def _change(mine: float, other: float) -> str:
    return f"{round(100 * (mine / other - 1), 1) + 0.0:+.1f} %"  # + 0.0: no -0.0


def _step_time(own: Row, base: Row) -> str:
    """Alone on the machine where that was measured, in turn with the baseline; else side by side with another run."""
    if alone := own["step_ratio_alone"]:
        low, high = (100 * (alone[end] - 1) for end in ("low", "high"))
        return f"step time {_change(alone['ratio'], 1.0)} [{low:+.1f}, {high:+.1f}]"
    return _ratio(f"step time {SIDE_BY_SIDE}", lambda row: row["step_seconds"])(own, base)


def _backward(own: Row, base: Row) -> str:
    """Likewise."""
    if ratio := own["part_ratios_alone"].get("backward"):
        return f"backward time {_change(ratio, 1.0)}"
    return _ratio(f"backward time {SIDE_BY_SIDE}", lambda row: row["parts"]["backward"])(own, base)


_TOLD: dict[str, tuple[str, Callable[[Row, Row], str]]] = {  # by measure: which table tells it, and how
    "bits_per_byte": ("steps", _bits),
    "bits_per_byte_at_time": ("time", _bits),
    "tokens_to_baseline": ("steps", _to_baseline("tokens")),
    "seconds_to_baseline": ("steps", _to_baseline("seconds")),
    "step_seconds": ("steps", _step_time),
    "backward_seconds": ("steps", _backward),
    "matrix_state_bytes": ("steps", _ratio("state of the matrices", lambda row: row["matrix_state_bytes"])),
    "optimizer_bytes": ("steps", _ratio("optimizer state", lambda row: row["optimizer_bytes"])),
    "peak_bytes": ("steps", _ratio("peak memory", lambda row: row["peak_bytes"])),
    "utilisation": ("steps", _both("device utilisation", "utilisation", ".1%")),
    "gain": ("steps", _both("largest composite gain", "gain", ".3f")),
}
