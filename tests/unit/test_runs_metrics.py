"""The registry says enough about every metric to show it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import get_args

import pytest

from nanocore.model.roles import Role
from nanocore.runs.metrics import METRICS, find_metric, healthy
from nanocore.runs.metrics_document import document

PROMISED = [
    "loss/ce",
    "loss/total",
    "eval/ce",
    "eval/bits_per_byte",
    "eval/perplexity",
    "eval/accuracy",
    "training/entropy",
    "training/accuracy",
    "training/grad_norm",
    "throughput/tokens_per_sec",
    "throughput/steps_per_min",
    "time/data_wait",
    "time/forward",
    "time/backward",
    "time/optimizer",
    "time/step",
    "throughput/mfu",
    "mhc/composite_gain",
    "mhc/composite_gain_backward",
    "mhc/forward_norm_ratio",
    "mhc/backward_norm_ratio",
    "mhc/stream_cosine",
    "ternary/zero_fraction",
    "ternary/flip_fraction",
    "memory/rss_bytes",
    "memory/gpu_bytes",
    "memory/optimizer_bytes",
    "device/utilisation",
    *(f"training/lr/{role}" for role in get_args(Role)),
]


@pytest.mark.parametrize("name", PROMISED)
def test_every_promised_metric_is_known(name: str) -> None:
    metric = find_metric(name)
    assert metric is not None
    assert metric.name == metric.tag == name
    assert metric.help.endswith(".")


def test_unknown_names_are_unknown() -> None:
    assert find_metric("loss/invented") is None
    assert find_metric("training/lr/") is None


def test_health_is_the_stated_range_and_never_a_number_that_is_not_finite() -> None:
    low, high = METRICS["mhc/composite_gain"].healthy or (0, 0)
    assert low <= 1.0 <= high
    assert healthy("mhc/composite_gain", 1.0)
    assert not healthy("mhc/composite_gain", 3000.0)
    for name in METRICS:
        assert not healthy(name, math.nan)
        assert not healthy(name, math.inf)
    assert healthy("loss/ce", 5.5)


def test_the_list_of_metrics_is_current() -> None:
    path = Path(__file__).parents[2] / "docs" / "metrics.md"
    assert path.read_text() == document(), "python -m nanocore.runs.metrics_document > docs/metrics.md"


def test_every_metric_stands_in_the_list_with_its_range() -> None:
    lines = document().splitlines()
    assert all(any(line.startswith(f"| `{name}` |") for line in lines) for name in METRICS)
    assert "| `mhc/health` | – | telemetry | 0 |" in document()
    assert "| `mhc/least_column_sum` | – | telemetry | 0.5 or more |" in document()


def test_the_list_names_every_group_that_has_a_learning_rate() -> None:
    words = " ".join(document().split())
    begin = words.index("The members of `training/lr`")
    assert all(f"`{role}`" in words[begin : begin + 200] for role in get_args(Role))
