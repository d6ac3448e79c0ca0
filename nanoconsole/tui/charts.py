"""What the charts of Live show: three that every run has, and one for the technique that is looked at."""

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
THROUGHPUT = ChartSpec("throughput", "throughput", "tok/s", (Line("throughput/tokens_per_sec", "newest", "", "line1"),))
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


def technique_charts(history: History, maps: str) -> list[ChartSpec]:
    """The charts of techniques that recorded something; that of the residual streams when none did."""
    names = set(history.names())
    found = [spec for spec in (mixing(maps), *TECHNIQUES) if any(line.metric in names for line in spec.lines)]
    return found or [mixing(maps)]


def why_empty(spec: ChartSpec, update: RunUpdate) -> str:
    """Why a chart is empty."""
    if not update.history.names():
        return "no step yet" if update.state.alive else "no step was recorded"
    return "not measured yet (or one stream: nothing is mixed)" if spec.key == "mhc" else "not recorded"
