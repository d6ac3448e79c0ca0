"""Telling the health of the residual streams: an event and a line when a verdict changes, and only then."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nanocore.analysis.streams import StreamProbe
from nanocore.runs.metrics import find_metric
from nanocore.train.telemetry import analyse
from tests.models import make_model, next_token_loss, random_tokens
from tests.techniques import CASES, train_steps


class Reporter:
    """Keeps what is told."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.lines: list[tuple[str, str]] = []
        self.rows: list[dict[str, Any]] = []

    def event(self, kind: str, **facts: Any) -> None:
        self.events.append({"kind": kind, **facts})

    def log(self, message: str, level: str = "INFO") -> None:
        self.lines.append((level, message))

    def layers(self, rows: list[dict[str, Any]]) -> None:
        self.rows += rows


def test_a_changed_verdict_is_told_once_as_event_and_line() -> None:
    model, told = make_model(streams=2, n_layers=3), Reporter()
    job: Any = SimpleNamespace(
        streams=StreamProbe(model), reporter=told, findings={}, ternary=SimpleNamespace(names=[]),
        progress=SimpleNamespace(step=3), config=SimpleNamespace(mhc=SimpleNamespace(every=4), logging=SimpleNamespace(layers_every=1000)),
    )  # fmt: skip

    def measure() -> int:
        with analyse(job):
            next_token_loss(model, random_tokens(2, 17)).backward()
        return len(told.events)

    assert measure() == 0 and job.findings["mhc/health"] == 0.0
    with torch.no_grad():
        healthy = {name: parameter.clone() for name, parameter in model.named_parameters()}
        for name, parameter in model.named_parameters():
            if name.endswith(".post"):
                parameter.fill_(0.5)
    assert measure() == 1 and measure() == 1
    event = told.events[0]
    assert (event["kind"], event["health"], event["before"]) == ("health", "sick", "healthy")
    assert event["changed"]["blocks.0.attention"] == "sick" and "copies" in event["message"]
    assert told.lines == [("WARNING", event["message"])]
    assert {"name", "health", "reason", "stream_cosine"} <= set(told.rows[-1])
    sick = {name: parameter.clone() for name, parameter in model.named_parameters()}
    for state in (healthy, sick, healthy):  # better once is not yet better
        model.load_state_dict(state)
        assert measure() == 1
    assert measure() == 2
    assert told.events[1]["health"] == "healthy" and told.lines[1][0] == "INFO"
    job.progress.step = 4  # not its turn
    assert measure() == 2


@pytest.mark.parametrize("case", ["mtp+collider-full", "loop", "loop+mtp+moe", "regularisers"])
def test_every_part_of_a_step_is_in_the_registry_of_metrics(case: str) -> None:
    result = train_steps(CASES[case], count=1).results[0]
    assert result.parts and [name for name in result.parts if find_metric(name) is None] == []
