"""The built-in alert rules: what each one watches for, its range, and where the documentation says what to do.

This table feeds the evaluation, the settings file, the settings dialog and the list of alerts.
"""

from __future__ import annotations

from dataclasses import dataclass

ACTIONS = ("notify", "bell", "command", "checkpoint", "pause")
DOCUMENT = "docs/troubleshooting.md"


@dataclass(frozen=True)
class Limit:
    """One editable bound of a rule; the alert is raised beyond it. `minimum` and `maximum` are what may be set."""

    name: str
    default: float
    minimum: float
    maximum: float
    help: str


@dataclass(frozen=True)
class Rule:
    """A rule. `section` is the heading in the troubleshooting page; `actions` are what is done unless settings say else."""

    name: str
    title: str
    help: str
    section: str
    limits: tuple[Limit, ...] = ()
    actions: tuple[str, ...] = ("notify",)


RULES: tuple[Rule, ...] = (
    Rule(
        "nonfinite",
        "non-finite",
        "A loss or gradient norm that is nan or inf.",
        "nan-divergence",
        actions=("notify", "bell"),
    ),
    Rule(
        "loss_spike",
        "loss spike",
        "The loss above its moving average, in robust standard deviations of the newest records.",
        "nan-divergence",
        (Limit("above", 6.0, 2.0, 1000.0, "Robust standard deviations above the average."),),
    ),
    Rule(
        "gradient_spike",
        "gradient spike",
        "The gradient norm as a multiple of its median over the newest records.",
        "nan-divergence",
        (Limit("above", 10.0, 1.5, 1e6, "Times the median."),),
    ),
    Rule(
        "mhc_gain",
        "mHC gain",
        "The gain of the product of all residual maps, forward or backward, outside its range.",
        "residual-streams",
        (
            Limit("below", 0.0, 0.0, 1.0, "Smallest gain that is healthy."),
            Limit("above", 2.0, 1.0, 1e6, "Largest gain that is healthy."),
        ),
    ),
    Rule(
        "throughput",
        "throughput drop",
        "Tokens per second below what the run reached before, as a share that is lost.",
        "slow",
        (Limit("above", 0.3, 0.02, 0.99, "Share of the earlier speed that is lost."),),
    ),
    Rule(
        "heartbeat",
        "stalled",
        "A trainer whose heartbeat stands still, or that makes no progress for longer than its phase allows.",
        "stuck",
        (Limit("above", 30.0, 5.0, 86400.0, "Seconds without a heartbeat."),),
        actions=("notify", "bell"),
    ),
    Rule(
        "disk",
        "disk low",
        "Free space of the disk that the runs lie on.",
        "disk-full",
        (Limit("below", 2.0, 0.01, 1e6, "GiB that must stay free."),),
        actions=("notify", "bell"),
    ),
    Rule(
        "heldout",
        "held-out loss rises",
        "Held-out cross-entropy above the best the run had, as a share of it.",
        "low-quality",
        (Limit("above", 0.05, 0.001, 10.0, "Share above the best."),),
    ),
    Rule(
        "ended",
        "ended badly",
        "A run that crashed, was killed or diverged while the console looked on.",
        "out-of-memory",
        actions=("notify", "bell"),
    ),
)

BY_NAME = {rule.name: rule for rule in RULES}
