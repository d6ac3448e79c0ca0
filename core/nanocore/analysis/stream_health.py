"""Whether the residual streams do their work: verdicts with a reason, from measurements and thresholds alone.

Measurements are those of `nanocore.analysis.streams`: a summary by metric name, and a record for each sub-layer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["healthy", "warning", "sick"]
LEVELS: tuple[Level, ...] = ("healthy", "warning", "sick")
INF = math.inf


@dataclass(frozen=True)
class Rule:
    """A measure is healthy within the closed range `healthy`, sick outside `bearable`, a warning between the two.

    `low` and `high` say what is wrong on either side, `from_step` since when the rule holds.
    """

    key: str
    healthy: tuple[float, float]
    bearable: tuple[float, float]
    low: str = ""
    high: str = ""
    from_step: int = 1


_GROWN = "the product of the residual maps amplifies"
_LOST = "the product of the residual maps forgets a stream"
SUB_LAYER_RULES = (
    # Copies: n streams then compute what one computes. 0.995 is the metric's range; in float32 0.999 is not yet noise.
    Rule("stream_cosine", (-1.0, 0.995), (-1.0, 0.999), high="the streams are all but copies of each other"),
    # Exact maps have gain 1, 20 Sinkhorn steps at most 1.6 in the paper; HC reached 3000 before its loss spike.
    Rule("gain", (0.0, 2.0), (0.0, 10.0), high=f"{_GROWN} the signal"),
    Rule("gain_backward", (0.0, 2.0), (0.0, 10.0), high=f"{_GROWN} the gradient"),
    # Measured: correlated Sinkhorn maps lose a column down to 0.19 at 60 layers. Its stream hardly counts any more.
    Rule("least_column_sum", (0.5, INF), (0.1, INF), low=_LOST),
    # Streams that are written alike never come to differ; read alike, a layer sees their mean only.
    Rule("post_balance", (0.01, INF), (0.0, INF), low="all streams are written alike"),
    Rule("pre_balance", (0.01, INF), (0.0, INF), low="all streams are read alike"),
    # AdamW moves whatever has a gradient by about the learning rate a step: 1e-3 is little after 100 steps, even in a
    # long warm-up. Exactly no movement is what made the earlier system's mixing do nothing for 20 000 steps.
    Rule("departure", (1e-3, INF), (1e-7, INF), low="the maps are still those of the start", from_step=100),
)
MODEL_RULES = (
    # After the last sub-layer each stream was favoured at least once; earlier ones are still alike at the start.
    Rule("mhc/closest_cosine", (-1.0, 0.995), (-1.0, 0.999), high="two streams are all but copies of each other"),
    # The residual grows with depth, by tens at a small embedding; by a thousand, or shrinking, later layers are deaf.
    Rule("mhc/forward_norm_ratio", (0.02, 100.0), (0.001, 1000.0), "the signal vanishes", "the signal explodes"),
    Rule("mhc/backward_norm_ratio", (0.02, 100.0), (0.001, 1000.0), "the gradient vanishes", "the gradient explodes"),
)


@dataclass(frozen=True)
class Verdict:
    """A level and, unless healthy, the reason in words with the number behind it."""

    level: Level = "healthy"
    reason: str = ""

    @property
    def rank(self) -> int:
        return LEVELS.index(self.level)


@dataclass(frozen=True)
class Health:
    """The verdict on the model, which is that of its worst part, and those on the sub-layers by name."""

    model: Verdict
    sub_layers: dict[str, Verdict] = field(default_factory=dict)


def judge(summary: Mapping[str, float], records: Sequence[Mapping[str, Any]], step: int) -> Health:
    """The verdicts on what was measured at `step`. What was not measured is not judged."""
    sub_layers = {str(record["name"]): _worst(SUB_LAYER_RULES, record, step) for record in records}
    model = _worst(MODEL_RULES, summary, step)
    for name, verdict in sub_layers.items():
        if verdict.rank > model.rank:
            model = Verdict(verdict.level, f"{name}: {verdict.reason}")
    return Health(model, sub_layers)


def worse(a: Health, b: Health) -> Health:
    """Of each verdict the worse of two; `b` where they are alike.

    What is told is the worse of the last two measurements: getting worse counts at once, getting better when it lasts,
    so that a measure near its threshold does not make an event of every measurement.
    """
    known = a.sub_layers
    sub_layers = {name: max(new, known.get(name, new), key=lambda one: one.rank) for name, new in b.sub_layers.items()}
    return Health(max(b.model, a.model, key=lambda one: one.rank), sub_layers)


def changes(before: Health, after: Health) -> dict[str, Level]:
    """The new level of every sub-layer whose level changed; one not judged before counts as healthy before."""
    known = {name: verdict.level for name, verdict in before.sub_layers.items()}
    return {name: new.level for name, new in after.sub_layers.items() if new.level != known.get(name, "healthy")}


def _worst(rules: Sequence[Rule], measured: Mapping[str, Any], step: int) -> Verdict:
    """The worst verdict of the rules in force; of equal ones the first."""
    due = (rule for rule in rules if rule.key in measured and step >= rule.from_step)
    verdicts = (verdict(rule, float(measured[rule.key])) for rule in due)
    return max(verdicts, key=lambda verdict: verdict.rank, default=Verdict())


def verdict(rule: Rule, value: float) -> Verdict:
    """What a rule says of one value, whatever the step."""
    name = rule.key.removeprefix("mhc/").replace("_", " ")
    if not math.isfinite(value):
        return Verdict("sick", f"{name} is {value}")
    ranges: tuple[tuple[Level, tuple[float, float]], ...] = (("sick", rule.bearable), ("warning", rule.healthy))
    for level, (low, high) in ranges:
        if value < low:
            return Verdict(level, f"{rule.low} ({name} {value:.4g}, below {low:g})")
        if value > high:
            return Verdict(level, f"{rule.high} ({name} {value:.4g}, above {high:g})")
    return Verdict()
