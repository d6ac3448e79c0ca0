"""Runs against each other: values at the same x, differences to the baseline, finals and ranks."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from nanoconsole.services.configs import differing, read_flat
from nanoconsole.services.overlay import Overlay
from nanocore.errors import UsageError
from nanocore.runs.metrics import find_metric
from nanocore.runs.summary import summarize

FINALS = ("loss/ce", "eval/bits_per_byte", "eval/ce", "throughput/tokens_per_sec")


@dataclass(frozen=True)
class Row:
    """One run of a comparison.

    `x` and `value` are of its recorded point nearest to the x that was asked for, None where it has none there;
    `difference` is `value` less that of the baseline. `best` is the best value it ever recorded, `rank` counts from 1
    by the newest values, 0 for a run without a finite one. `step` and `time` (seconds of training) are its last, and
    `finals` the newest values of what every comparison ends with, whatever `metric` is.
    """

    x: float | None
    value: float | None
    difference: float | None
    newest: float | None
    best: float | None
    rank: int
    step: int
    time: float
    finals: dict[str, float | None]


def rows(overlay: Overlay, metric: str, axis: str, x: float, baseline: int | None) -> list[Row]:
    """A row for each run of the overlay, in its order."""
    points = [overlay.at(f"{index}/{metric}", axis, x) for index in range(len(overlay.members))]
    base = points[baseline] if baseline is not None else None
    ranks = _ranks([overlay.last(f"{index}/{metric}") for index in range(len(overlay.members))], metric)
    found = []
    for index, (member, point) in enumerate(zip(overlay.members, points, strict=True)):
        difference = point[1] - base[1] if base and point and index != baseline else None
        found.append(
            Row(
                x=point[0] if point else None,
                value=point[1] if point else None,
                difference=difference,
                newest=member.history.last(metric),
                best=_best(overlay, index, metric),
                rank=ranks[index],
                step=int(member.history.span("step")[1]),
                time=member.history.span("time")[1],
                finals={key: member.history.last(key) for key in FINALS},
            )
        )
    return found


def high_is_good(metric: str) -> bool:
    """Whether more of a metric is better; of those without a goal less is."""
    known = find_metric(metric)
    return known is not None and known.goal == "high"


def _best(overlay: Overlay, index: int, metric: str) -> float | None:
    curve = overlay.curve(f"{index}/{metric}", "step", 0.0, 1)
    if curve is None:
        return None
    best = float((curve.buckets.high if high_is_good(metric) else curve.buckets.low)[0])
    return best if math.isfinite(best) else None


def _ranks(values: list[float | None], metric: str) -> list[int]:
    """1 for the best finite value, equal ones alike, 0 for none."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    sign = -1.0 if high_is_good(metric) else 1.0
    return [1 + sum(sign * other < sign * value for other in finite) if value in finite else 0 for value in values]  # type: ignore[operator]


def document(overlay: Overlay, metric: str, axis: str, x: float | None, baseline: int | None) -> dict[str, Any]:
    """The whole comparison as one JSON document; numbers that are not finite are null, and named in `nonfinite`.

    Without `x`, runs are compared at the last x that all of them reached. Raises UsageError for a metric that no run
    recorded.
    """
    if metric not in overlay.metrics():
        known = ", ".join(overlay.metrics()[:12]) or "none"
        raise UsageError(f"no run recorded the metric {metric!r}", fix=f"they recorded {known}")
    where = overlay.common_end(axis) if x is None else x
    configs = [read_flat(run) for run in overlay.runs]
    return {
        "schema": 1,
        "metric": metric,
        "axis": axis,
        "x": where,
        "baseline": None if baseline is None else overlay.runs[baseline].name,
        "runs": [
            _plain(
                {
                    "run": run.name,
                    "path": str(run.path),
                    "state": summarize(run).state,
                    **asdict(row),
                }
            )
            for run, row in zip(overlay.runs, rows(overlay, metric, axis, where, baseline), strict=True)
        ],
        "config": [{"key": key, "values": values} for key, values in differing(configs)],
    }


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    """Numbers that are not finite as null, named beside."""
    flat = {
        **{key: value for key, value in facts.items() if key != "finals"},
        **{f"finals.{key}": value for key, value in facts["finals"].items()},
    }
    bad = {key: str(value) for key, value in flat.items() if isinstance(value, float) and not math.isfinite(value)}
    kept = {key: None if key in bad else value for key, value in facts.items() if key != "finals"}
    finals = {key: None if f"finals.{key}" in bad else value for key, value in facts["finals"].items()}
    return {**kept, "finals": finals, **({"nonfinite": bad} if bad else {})}
