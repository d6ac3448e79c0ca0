"""The one registry of metrics: what each number means, where it is shown, and when it is healthy.

The trainer writes these names into metrics.jsonl and TensorBoard; charts, alerts, JSON and documentation read unit,
help and range here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

STEP_PARTS = ("data_wait", "forward", "backward", "optimizer")  # of a step's time, each the metric time/NAME
Chart = Literal[
    "", "loss", "throughput", "mhc", "collider", "loop", "moe", "gradient", "rate", "ternary", "time", "memory"
]  # fmt: skip
Cadence = Literal["step", "evaluation", "telemetry"]
Goal = Literal["", "low", "high"]


@dataclass(frozen=True)
class Metric:
    """One metric. `healthy` is the closed range outside which a user is warned; `chart` names the chart it belongs to.

    `cadence` says how often it is written: each logged step, each evaluation, or with the rarer model telemetry.
    """

    name: str
    unit: str
    help: str
    tag: str
    healthy: tuple[float, float] | None = None
    chart: Chart = ""
    cadence: Cadence = "step"
    goal: Goal = ""


def _m(
    name: str,
    unit: str,
    help: str,
    *,
    healthy: tuple[float, float] | None = None,
    chart: Chart = "",
    cadence: Cadence = "step",
    goal: Goal = "",
) -> Metric:
    """A metric whose TensorBoard tag is its name."""
    return Metric(name, unit, help, name, healthy, chart, cadence, goal)


_ALL = (
    _m("loss/ce", "nats", "Plain next-token cross-entropy of the training batch.", chart="loss", goal="low"),
    _m("loss/total", "nats", "The sum that is minimised: cross-entropy and all other loss terms.", chart="loss", goal="low"),
    _m("loss/smoothing", "nats", "What label smoothing adds to the loss.", chart="loss"),
    _m("loss/z", "nats", "What the z-loss adds.", chart="loss"),
    _m("loss/entropy_bonus", "nats", "What the entropy bonus adds; negative.", chart="loss"),
    _m("loss/mtp", "nats", "Mean cross-entropy of the heads that predict further tokens, before their weight.", chart="loss"),
    _m("loss/kept", "nats", "Cross-entropy of the tokens that token filtering kept.", chart="loss"),
    _m("loss/expected", "nats", "LoopLM: cross-entropy expected over the exits.", chart="loss"),
    _m("loss/gate", "nats", "LoopLM's second stage: cross-entropy of the exit gate.", chart="loss"),
    _m("loss/balance", "nats", "Auxiliary loss of the experts' load, before its weight; when even the number of layers with experts.", goal="low"),
    _m("collider/kept_fraction", "", "Share of the batch's tokens that had a backward pass for their loss.", healthy=(0.02, 1.0), chart="collider"),
    _m("collider/importance_p10", "nats", "Importance that 10 % of the tokens stay below.", chart="collider"),
    _m("collider/importance_p50", "nats", "Median importance of the tokens.", chart="collider"),
    _m("collider/importance_p90", "nats", "Importance that 90 % of the tokens stay below.", chart="collider"),
    _m(
        "collider/gradient_cosine", "", "Cosine between the filtered and the full gradient of one batch.",
        healthy=(0.2, 1.0), chart="collider", cadence="telemetry", goal="high",
    ),
    _m("loop/exit_entropy", "nats", "Mean entropy of the exit distribution; ln of the turns when even.", chart="loop"),
    _m("loop/mean_turns", "", "Mean number of turns that the exit distribution expects.", chart="loop"),
    _m("loop/exit_probability", "", "Mean probability of leaving the loop after a turn."),
    _m("moe/max_violation", "", "Largest expert load over the mean, less 1; 0 when even.", healthy=(0.0, 4.0), goal="low", chart="moe"),
    _m("moe/load_entropy", "nats", "Entropy of the experts' loads; ln of their number when even.", goal="high", chart="moe"),
    _m("eval/ce", "nats", "Cross-entropy on the fixed held-out slice.", chart="loss", cadence="evaluation", goal="low"),
    _m(
        "eval/bits_per_byte", "bits/byte", "Held-out cross-entropy per byte of text; comparable between tokenizers.",
        chart="loss", cadence="evaluation", goal="low",
    ),
    _m("eval/perplexity", "", "exp of the held-out cross-entropy per token.", cadence="evaluation", goal="low"),
    _m("eval/accuracy", "", "Share of held-out tokens predicted exactly.", cadence="evaluation", goal="high"),
    _m("eval/ce_turn", "nats", "Held-out cross-entropy when the loop is left after a turn.", cadence="evaluation", goal="low"),
    _m("training/entropy", "nats", "Mean entropy of the predictions; 0 means certain, ln V means uniform.", chart="loss"),
    _m("training/accuracy", "", "Share of training tokens predicted exactly.", goal="high"),
    _m("training/lr", "", "Learning rate of a parameter group.", chart="rate"),
    _m("training/grad_norm", "", "Global L2 norm of the gradients before clipping.", healthy=(0.0, 100.0), chart="gradient"),
    _m("throughput/tokens_per_sec", "tok/s", "Training tokens per second of training time.", chart="throughput", goal="high"),
    _m("throughput/steps_per_min", "steps/min", "Optimizer steps per minute of training time.", goal="high"),
    _m("throughput/mfu", "", "Arithmetic done as a share of the device's peak, where a peak is known.", goal="high"),
    _m("time/step", "s", "Time of one optimizer step.", goal="low"),
    _m("time/data_wait", "s", "Part of the step spent waiting for the next batch.", chart="time", goal="low"),
    _m("time/forward", "s", "Part of the step spent in forward passes and loss.", chart="time"),
    _m("time/backward", "s", "Part of the step spent in backward passes.", chart="time"),
    _m("time/optimizer", "s", "Part of the step spent on clipping and updates.", chart="time"),
    _m(
        "mhc/composite_gain", "",
        "Largest row sum of the product of all residual maps; 1 by construction, unless they are unconstrained.",
        healthy=(0.0, 2.0), cadence="telemetry",
    ),
    _m(
        "mhc/composite_gain_backward", "",
        "Largest column sum of the product of all residual maps, the backward gain; 1 by construction for mHC-lite, near it for Sinkhorn maps.",
        healthy=(0.0, 2.0), cadence="telemetry",
    ),
    _m(
        "mhc/least_column_sum", "",
        "Smallest column sum of the product of all residual maps over all tokens, what the most forgotten stream counts; 1 for mHC-lite.",
        healthy=(0.5, math.inf), cadence="telemetry",
    ),
    _m(
        "mhc/second_eigenvalue", "", "Mean second eigenvalue of the residual maps: the share of the streams' differences each keeps.",
        cadence="telemetry",
    ),
    _m(
        "mhc/mixing_entropy", "nats", "Mean entropy of the residual maps' rows; 0 passes streams on, ln n mixes them evenly.",
        cadence="telemetry",
    ),
    _m(
        "mhc/health", "", "Verdict on the residual streams: 0 healthy, 1 warning, 2 sick; the reason is in the events.",
        healthy=(0.0, 0.0), cadence="telemetry", goal="low",
    ),
    _m(
        "mhc/forward_norm_ratio", "", "RMS of the residual streams after the last block over that before the first.",
        healthy=(0.02, 100.0), chart="mhc", cadence="telemetry",
    ),
    _m(
        "mhc/backward_norm_ratio", "", "RMS of the gradient before the first block over that after the last.",
        healthy=(0.02, 100.0), chart="mhc", cadence="telemetry",
    ),
    _m(
        "mhc/stream_cosine", "", "Mean cosine between residual streams; at 1 they are copies and mixing does nothing.",
        healthy=(-1.0, 0.995), chart="mhc", cadence="telemetry",
    ),
    _m(
        "mhc/closest_cosine", "", "Cosine between the two most similar streams after the last block.",
        healthy=(-1.0, 0.995), cadence="telemetry",
    ),
    _m(
        "ternary/zero_fraction", "", "Share of ternary weights that are 0; 0.31 for Gaussian weights.",
        healthy=(0.15, 0.7), chart="ternary", cadence="telemetry",
    ),
    _m(
        "ternary/flip_fraction", "", "Share of ternary weights that changed since the last measurement.",
        chart="ternary", cadence="telemetry",
    ),
    _m("memory/rss_bytes", "bytes", "Resident memory of the trainer as the record is written.", chart="memory", goal="low"),
    _m("memory/gpu_bytes", "bytes", "Highest memory allocated on the GPU.", chart="memory", goal="low"),
    _m("memory/optimizer_bytes", "bytes", "Optimizer state, counted from its live tensors.", chart="memory", goal="low"),
    _m("device/utilisation", "", "Share of the device in use since the last record.", goal="high"),
)  # fmt: skip

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
_FAMILIES = {  # one metric for each member: training/lr/<group>
    "training/lr": "Learning rate of the parameter group {}.",
    "eval/ce_turn": "Held-out cross-entropy when the loop is left after turn {}.",
    "loop/exit_probability": "Mean probability of leaving the loop after turn {}.",
}


def find_metric(name: str) -> Metric | None:
    """The metric called `name`, members of a family such as training/lr/matrix included; None when unknown."""
    if name in METRICS:
        return METRICS[name]
    family, _, member = name.rpartition("/")
    if family not in _FAMILIES or not member:
        return None
    return replace(METRICS[family], name=name, tag=name, help=_FAMILIES[family].format(member))


def healthy(name: str, value: float) -> bool:
    """Whether `value` lies in the metric's healthy range; a metric without a range is healthy while finite."""
    metric = find_metric(name)
    low, high = metric.healthy if metric and metric.healthy else (-math.inf, math.inf)
    return math.isfinite(value) and low <= value <= high
