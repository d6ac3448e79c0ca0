"""Verdicts on the residual streams, from numbers and from models that are really ill."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from nanocore.analysis.stream_health import (
    MODEL_RULES,
    SUB_LAYER_RULES,
    Health,
    Verdict,
    changes,
    judge,
)
from nanocore.analysis.streams import StreamProbe
from nanocore.model.transformer import Transformer
from nanocore.runs.metrics import METRICS
from tests.models import make_model, next_token_loss, random_tokens

WELL = {"name": "a", "stream_cosine": 0.9, "gain": 1.0, "gain_backward": 1.0, "least_column_sum": 1.0} | {
    "post_balance": 0.5, "pre_balance": 0.5, "departure": 0.1
}  # fmt: skip
FLOWS = {"mhc/forward_norm_ratio": 10.0, "mhc/backward_norm_ratio": 10.0, "mhc/closest_cosine": 0.97}


def verdict(step: int = 200, **measured: float) -> Verdict:
    return judge({}, [WELL | measured], step).sub_layers["a"]


def test_what_is_well_is_healthy() -> None:
    health = judge(FLOWS, [WELL], 200)
    assert health == Health(Verdict(), {"a": Verdict()})


@pytest.mark.parametrize(
    ("measured", "level", "words"),
    [
        ({"stream_cosine": 0.996}, "warning", "copies"),
        ({"stream_cosine": 0.9995}, "sick", "copies"),
        ({"gain": 2.5}, "warning", "amplifies the signal"),
        ({"gain": 3000.0}, "sick", "amplifies the signal (gain 3000, above 10)"),
        ({"gain_backward": 11.0}, "sick", "amplifies the gradient"),
        ({"least_column_sum": 0.19}, "warning", "forgets a stream"),
        ({"least_column_sum": 0.05}, "sick", "forgets a stream"),
        ({"post_balance": 0.0}, "warning", "written alike"),
        ({"pre_balance": 0.001}, "warning", "read alike"),
        ({"departure": 1e-4}, "warning", "maps are still those of the start"),
        ({"departure": 0.0}, "sick", "maps are still those of the start"),
        ({"stream_cosine": math.nan}, "sick", "stream cosine is nan"),
        ({"gain": 2.5, "stream_cosine": 0.9995}, "sick", "copies"),
    ],
)
def test_each_illness_has_its_level_and_reason(measured: dict[str, float], level: str, words: str) -> None:
    found = verdict(**measured)
    assert found.level == level and words in found.reason


def test_maps_need_time_to_move() -> None:
    assert verdict(step=99, departure=0.0).level == "healthy"
    assert verdict(step=100, departure=0.0).level == "sick"


@pytest.mark.parametrize(
    ("key", "value", "level"),
    [
        ("mhc/forward_norm_ratio", 500.0, "warning"),
        ("mhc/forward_norm_ratio", 5000.0, "sick"),
        ("mhc/backward_norm_ratio", 0.01, "warning"),
        ("mhc/backward_norm_ratio", math.inf, "sick"),
        ("mhc/closest_cosine", 1.0, "sick"),
    ],
)
def test_the_flow_through_all_layers_is_judged_too(key: str, value: float, level: str) -> None:
    assert judge(FLOWS | {key: value}, [WELL], 1).model.level == level


@pytest.mark.parametrize(
    ("key", "edge", "beyond"),
    [
        ("stream_cosine", 0.995, 1.0),
        ("mhc/closest_cosine", 0.995, 1.0),
        ("mhc/forward_norm_ratio", 100.0, math.inf),
        ("mhc/forward_norm_ratio", 0.02, 0.0),
        ("mhc/backward_norm_ratio", 100.0, math.inf),
        ("mhc/backward_norm_ratio", 0.02, 0.0),
        ("gain", 2.0, math.inf),
        ("gain_backward", 2.0, math.inf),
        ("least_column_sum", 0.5, 0.0),
    ],
)
def test_a_measure_is_healthy_up_to_the_threshold_of_the_page_and_not_beyond(
    key: str, edge: float, beyond: float
) -> None:
    def level(value: float) -> str:
        return judge(FLOWS | {key: value}, [WELL | {key: value}], 200).model.level

    assert (level(edge), level(math.nextafter(edge, beyond))) == ("healthy", "warning")


def test_the_model_is_as_ill_as_its_worst_part_and_the_reason_names_it() -> None:
    health = judge(FLOWS, [WELL, WELL | {"name": "b", "gain": 20.0}, WELL | {"name": "c", "gain": 3.0}], 200)
    assert [health.sub_layers[name].level for name in "abc"] == ["healthy", "sick", "warning"]
    assert health.model.level == "sick" and health.model.reason.startswith("b: ")


def test_changes_are_those_of_levels_and_what_was_not_judged_before_was_healthy() -> None:
    before = Health(Verdict(), {"a": Verdict("sick", "x"), "b": Verdict("warning", "gain 2.1")})
    after = Health(
        Verdict(), {"a": Verdict(), "b": Verdict("warning", "gain 2.2"), "c": Verdict(), "d": Verdict("sick")}
    )
    assert changes(before, after) == {"a": "healthy", "d": "sick"}


def test_thresholds_lie_in_order_and_agree_with_the_ranges_of_the_metrics() -> None:
    for rule in (*SUB_LAYER_RULES, *MODEL_RULES):
        assert rule.bearable[0] <= rule.healthy[0] < rule.healthy[1] <= rule.bearable[1], rule.key
    ranges = {rule.key: rule.healthy for rule in (*SUB_LAYER_RULES, *MODEL_RULES)}
    for key, name in {"stream_cosine": "stream_cosine", "gain": "composite_gain", "least_column_sum": "least_column_sum",
                      "gain_backward": "composite_gain_backward", "mhc/closest_cosine": "closest_cosine",
                      "mhc/forward_norm_ratio": "forward_norm_ratio"}.items():  # fmt: skip
        assert METRICS[f"mhc/{name}"].healthy == ranges[key]


def measured(model: Transformer, at: int = 200) -> tuple[Health, list[dict[str, Any]], dict[str, float]]:
    probe = StreamProbe(model)
    with probe.attached():
        model.zero_grad()
        next_token_loss(model, random_tokens(2, 17)).backward()
    report = probe.report()
    return probe.judge(report, at), report.layers, report.summary


def test_a_fresh_model_is_healthy_until_its_maps_should_have_moved() -> None:
    model = make_model(streams=2, n_layers=3)
    health, rows, summary = measured(model, at=1)
    assert health.model.level == "healthy" and summary["mhc/health"] == 0.0
    assert all(row["health"] == "healthy" and row["reason"] == "" for row in rows)
    assert measured(model, at=100)[0].model.level == "sick"


def test_the_earlier_systems_symmetric_start_is_sick_at_once() -> None:
    model = make_model(streams=2, n_layers=3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith((".pre", ".post")):
                parameter.fill_(0.5)
    health, rows, summary = measured(model, at=1)
    assert health.model.level == "sick" and "copies" in health.model.reason and summary["mhc/health"] == 2.0
    assert rows[0]["health"] == "sick"


def test_unconstrained_maps_that_amplify_are_found() -> None:
    model = make_model(streams=4, kind="unconstrained", n_layers=4)
    with torch.no_grad():
        for block in model.blocks:
            for connection in (block.attention_connection, block.feed_forward_connection):
                if connection.res is not None:
                    connection.res.mul_(1.5)
    health, rows, _ = measured(model, at=1)
    assert health.model.level == "sick" and "amplifies" in health.model.reason
    assert [row["health"] for row in rows] == ["healthy", "healthy", *["warning"] * 4, "sick", "sick"]
    assert rows[-2]["gain"] == pytest.approx(1.5**6, rel=1e-5)
