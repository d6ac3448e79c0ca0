"""Averages over the steps since the last metrics record."""

from __future__ import annotations

from dataclasses import dataclass, field

from nanocore.runs.metrics import STEP_PARTS
from nanocore.train.step import StepResult


@dataclass
class Window:
    """Sums since the last record; means are weighted by targets, times are per step."""

    steps: int = 0
    targets: int = 0
    tokens: int = 0
    nats: float = 0.0
    entropy: float = 0.0
    correct: float = 0.0
    grad_norm: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)
    parts: dict[str, float] = field(default_factory=dict)
    part_targets: dict[str, int] = field(default_factory=dict)  # of the steps that had the part

    def add(self, result: StepResult, tokens: int) -> None:
        self.steps += 1
        self.tokens += tokens
        self.targets += result.targets
        self.nats += result.ce * result.targets
        self.entropy += result.entropy * result.targets
        self.correct += result.accuracy * result.targets
        self.grad_norm = result.grad_norm
        for name, value in result.seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + value
        for name, value in result.parts.items():
            self.parts[name] = self.parts.get(name, 0.0) + value * result.targets
            self.part_targets[name] = self.part_targets.get(name, 0) + result.targets

    @property
    def total_seconds(self) -> float:
        return sum(self.seconds.values())

    def values(self) -> dict[str, float]:
        """Metrics of the window under their registry names. Throughput is trained tokens over step time."""
        targets, steps = max(self.targets, 1), max(self.steps, 1)
        total = self.total_seconds
        return {
            "loss/ce": self.nats / targets,
            **{name: value / max(self.part_targets[name], 1) for name, value in self.parts.items()},
            "training/entropy": self.entropy / targets,
            "training/accuracy": self.correct / targets,
            "training/grad_norm": self.grad_norm,
            "throughput/tokens_per_sec": self.tokens / total if total else 0.0,
            "throughput/steps_per_min": 60.0 * steps / total if total else 0.0,
            "time/step": total / steps,
            **{f"time/{part}": self.seconds.get(part, 0.0) / steps for part in STEP_PARTS},
        }
