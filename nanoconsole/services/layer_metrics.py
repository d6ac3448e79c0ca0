"""What is measured of each layer: where it stands in layers.jsonl, what it is called, when it is healthy."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nanocore.analysis.stream_health import SUB_LAYER_RULES, Rule
from nanocore.runs.metrics import METRICS


@dataclass(frozen=True)
class LayerMetric:
    """One metric of the records of `kind`. A list in a record is one row for each part, named by `parts` or numbered.

    `log` shades its strips by the logarithm; `rule` says when a value is healthy, None when nobody knows.
    """

    kind: str
    key: str
    label: str
    help: str
    log: bool = False
    rule: Rule | None = None
    parts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.kind}/{self.key}"

    @property
    def bounded_below(self) -> bool:
        """Whether a value can be too small: a range from 0 or -1 on begins where all values do."""
        return self.healthy is not None and self.healthy[0] not in (0.0, -1.0)

    @property
    def healthy(self) -> tuple[float, float] | None:
        return self.rule.healthy if self.rule else None


def _rule(key: str) -> Rule:
    return next(rule for rule in SUB_LAYER_RULES if rule.key == key)


def _registered(metric: str, key: str, low: str = "", high: str = "") -> Rule:
    """A rule that warns outside the range of the registry of metrics."""
    healthy = METRICS[metric].healthy
    assert healthy is not None
    return Rule(key, healthy, (-math.inf, math.inf), low, high)


_ZEROS = _registered("ternary/zero_fraction", "zero_fraction", "few weights are zero", "most weights are zero")
_LOAD = _registered("moe/max_violation", "max_violation", high="one expert gets most of the tokens")

LAYER_METRICS: tuple[LayerMetric, ...] = (
    LayerMetric("streams", "gain", "mHC gain", "Largest row sum of the product of all residual maps up to the layer.", rule=_rule("gain")),
    LayerMetric("streams", "gain_backward", "mHC gain back", "Largest column sum of the product of all residual maps: the gain of the gradient.", rule=_rule("gain_backward")),
    LayerMetric("streams", "least_column_sum", "least column", "What the most forgotten stream still counts in the product of all residual maps.", rule=_rule("least_column_sum")),
    LayerMetric("streams", "stream_cosine", "stream cosine", "Mean cosine between the streams after the layer; at 1 they are copies.", rule=_rule("stream_cosine")),
    LayerMetric("streams", "forward_norm_ratio", "norm forward", "RMS of the streams after the layer over that before it.", log=True),
    LayerMetric("streams", "backward_norm_ratio", "norm backward", "RMS of the gradient before the layer over that after it.", log=True),
    LayerMetric("streams", "alpha", "alpha", "How far a token may move each of the three maps.", parts=("pre", "post", "res")),
    LayerMetric("streams", "permutations", "permutations", "Weight of each permutation in the residual map, mean over tokens."),
    LayerMetric("streams", "departure", "departure", "Least change of the maps' parameters since the start.", log=True, rule=_rule("departure")),
    LayerMetric("ternary", "zero_fraction", "ternary zeros", "Share of the matrix's weights that are 0.", rule=_ZEROS),
    LayerMetric("ternary", "flip_fraction", "ternary flips", "Share of its ternary weights that changed since the last measurement."),
    LayerMetric("ternary", "scale", "ternary scale", "Mean absolute weight, which its codes are multiplied by.", log=True),
    LayerMetric("matrix", "gradient_norm", "gradient norm", "L2 norm of the matrix's gradient before clipping.", log=True),
    LayerMetric("matrix", "update_ratio", "update ratio", "RMS of one step's change over the RMS of the weights.", log=True),
    LayerMetric("moe", "fractions", "expert load", "Share of the tokens that each expert got."),
    LayerMetric("moe", "max_violation", "load violation", "Largest expert load over the mean, less 1; 0 when even.", rule=_LOAD),
    LayerMetric("exits", "probability", "exit probability", "Mean probability of leaving the loop after a turn."),
)  # fmt: skip


def brief(name: str) -> str:
    """A layer's name as a strip shows it: without what all of them share."""
    return name.removeprefix("blocks.").replace(".weight", "").removesuffix("_connection")
