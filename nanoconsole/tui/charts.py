"""What the charts of Live show: three that stay, and those that take turns in the place of the fourth."""

from __future__ import annotations

from nanoconsole.services.history import History
from nanoconsole.services.watched import RunUpdate
from nanoconsole.tui.widgets.chart_spec import ChartSpec, Line, Number

LOSS = ChartSpec(
    "loss",
    "loss",
    "nats",
    (
        Line("loss/ce", "train", "train", "line1"),
        Line("eval/ce", "held-out", "held", "line2", "◆"),
        Line("loss/mtp", "MTP", "mtp", "line3", "▲", dense=True),
        Line("loss/kept", "kept", "kept", "line4", "■", dense=True),
        Line("loss/expected", "expected", "exp", "line4", "■", dense=True),
        Line("loss/gate", "gate", "gate", "line4", "▼", dense=True),
    ),
)
GRADIENT = ChartSpec("gradient", "gradient norm", "", (Line("training/grad_norm", "newest", "", "line1"),))
THROUGHPUT = ChartSpec(
    "throughput",
    "throughput",
    "tok/s",
    (Line("throughput/tokens_per_sec", "newest", "", "line1"),),
    beside=(Number("throughput/steps_per_min", "steps/min"),),
)
GAIN, BACKWARD = "mhc/composite_gain", "mhc/composite_gain_backward"
# What the product of the residual maps gains, by their kind: exact, exact one way only, or whatever is learned.
GAINS = {
    "lite": (Number(GAIN, "gain", "1 expected", "1"),),
    "sinkhorn": (Number(GAIN, "gain", "1 expected", "1"), Number(BACKWARD, "back", "near 1 expected", "≈1")),
    "unconstrained": (Number(GAIN, "gain", "not bounded", "free"), Number(BACKWARD, "back", "not bounded", "free")),
}


def mixing(maps: str) -> ChartSpec:
    """The chart of the residual streams, for a kind of maps."""
    return ChartSpec(
        "mhc",
        "HC" if maps == "unconstrained" else "mHC",
        "",
        (
            Line("mhc/stream_cosine", "cosine", "cos", "line1", "●"),
            Line("mhc/forward_norm_ratio", "forward", "fwd", "line2", "▲"),
            Line("mhc/backward_norm_ratio", "backward", "bwd", "line3", "▼"),
        ),
        beside=GAINS.get(maps, ()),
    )


TECHNIQUES = (
    ChartSpec(
        "collider",
        "importance",
        "nats",
        (
            Line("collider/importance_p90", "90 %", "90", "line2", "▲", dense=True),
            Line("collider/importance_p50", "median", "50", "line1", "●", dense=True),
            Line("collider/importance_p10", "10 %", "10", "line3", "▼", dense=True),
        ),
        beside=(
            Number("collider/kept_fraction", "kept"),
            Number("collider/gradient_cosine", "cosine"),
        ),
    ),
    ChartSpec(
        "loop",
        "loop",
        "",
        (
            Line("loop/mean_turns", "turns", "turns", "line1", "●", dense=True),
            Line("loop/exit_entropy", "exit entropy", "entropy", "line2", "▼", dense=True),
        ),
    ),
    ChartSpec(
        "moe",
        "experts",
        "",
        (
            Line("moe/max_violation", "max violation", "violation", "line1", "▲", dense=True),
            Line("moe/load_entropy", "load entropy", "entropy", "line2", "●", dense=True),
        ),
        beside=(Number("loss/balance", "balance"),),
    ),
)


OTHERS = (
    ChartSpec(
        "held-out",
        "held-out",
        "bits/byte",
        (Line("eval/bits_per_byte", "bits/byte", "bpb", "line2", "◆"),),
        beside=(Number("eval/accuracy", "accuracy"), Number("eval/perplexity", "perplexity")),
    ),
    ChartSpec(
        "accuracy",
        "accuracy",
        "",
        (Line("training/accuracy", "train", "train", "line1"), Line("eval/accuracy", "held-out", "held", "line2", "◆")),
    ),
    ChartSpec(
        "time",
        "time of a step",
        "s",
        (
            Line("time/step", "all", "all", "line1"),
            Line("time/forward", "forward", "fwd", "line2", "▲", dense=True),
            Line("time/backward", "backward", "bwd", "line3", "▼", dense=True),
            Line("time/optimizer", "optimizer", "opt", "line4", "■", dense=True),
            Line("time/data_wait", "data", "data", "line4", "●", dense=True),
        ),
    ),
    ChartSpec(
        "ternary",
        "ternary",
        "",
        (
            Line("ternary/zero_fraction", "zero", "zero", "line1", "●"),
            Line("ternary/flip_fraction", "flipped", "flip", "line2", "▲"),
        ),
    ),
    ChartSpec(
        "memory",
        "memory",
        "bytes",
        (
            Line("memory/rss_bytes", "resident", "rss", "line1"),
            Line("memory/gpu_bytes", "GPU", "gpu", "line2", "▲", dense=True),
            Line("memory/optimizer_bytes", "optimizer", "opt", "line3", "■", dense=True),
        ),
    ),
)
RATE = "training/lr/"
SHORT = {"embedding": "embed"}  # names of parameter groups where room is short
STYLES = (("line1", "●"), ("line2", "▲"), ("line3", "▼"), ("line4", "■"))


def rates(names: set[str]) -> ChartSpec:
    """The learning rates of a run's parameter groups; of many the first four."""
    found = [name.removeprefix(RATE) for name in sorted(names) if name.startswith(RATE)]
    lines = [
        Line(f"{RATE}{name}", name, SHORT.get(name, name), style, mark, dense=True)
        for name, (style, mark) in zip(found, STYLES, strict=False)
    ]
    return ChartSpec("rate", "learning rate", "", tuple(lines), brief="rate")


def more_charts(history: History, maps: str) -> list[ChartSpec]:
    """The charts that take turns in one place: techniques that recorded something first, then what every run records;
    that of the residual streams when there is nothing at all."""
    names = set(history.names())
    every = (mixing(maps), *TECHNIQUES, rates(names), *OTHERS)
    return [spec for spec in every if any(line.metric in names for line in spec.lines)] or [mixing(maps)]


def why_empty(spec: ChartSpec, update: RunUpdate) -> str:
    """Why a chart is empty."""
    if not update.history.names():
        return "no step yet" if update.state.alive else "no step was recorded"
    return "not measured yet (or one stream: nothing is mixed)" if spec.key == "mhc" else "not recorded"
