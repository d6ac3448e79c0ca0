"""Zero fraction, flips and scales of ternary weights."""

from __future__ import annotations

import pytest
import torch

from nanocore.analysis.ternary import TernaryProbe
from nanocore.runs.metrics import METRICS
from tests.models import make_model


def test_gaussian_weights_have_31_percent_zeros_and_their_absmean_as_scale() -> None:
    model = make_model(d_model=128, d_ff=256)
    report = TernaryProbe(model).measure()
    assert report.summary["ternary/zero_fraction"] == pytest.approx(0.31, abs=0.01)
    assert set(report.summary) <= set(METRICS)
    rows = {row["name"]: row for row in report.layers}
    assert len(rows) == 14
    weight = model.blocks[1].feed_forward.up.weight
    assert rows["blocks.1.feed_forward.up.weight"]["scale"] == pytest.approx(float(weight.detach().abs().mean()))


def test_flips_are_counted_since_the_last_measurement() -> None:
    model = make_model()
    probe = TernaryProbe(model)
    assert "ternary/flip_fraction" not in probe.measure().summary
    assert probe.measure().summary["ternary/flip_fraction"] == 0.0
    matrix = model.blocks[0].attention.query.weight
    codes = matrix.detach().sign()
    with torch.no_grad():
        matrix[:4].neg_()  # 4 of 32 rows: every code but zeros flips
    report = probe.measure()
    row = next(row for row in report.layers if row["name"] == "blocks.0.attention.query.weight")
    zeros = int((model.blocks[0].attention.query.ternary().codes[:4] == 0).sum())
    assert row["flip_fraction"] == pytest.approx((4 * 32 - zeros) / codes.numel())
    ternary_weights = sum(p.numel() for name, p in model.named_parameters() if model.roles()[name] == "matrix")
    assert report.summary["ternary/flip_fraction"] == pytest.approx((4 * 32 - zeros) / ternary_weights)
    assert probe.measure().summary["ternary/flip_fraction"] == 0.0


def test_a_float_model_has_nothing_to_measure() -> None:
    probe = TernaryProbe(make_model(linear="float"))
    assert probe.names == [] and probe.measure().summary == {} and probe.measure().layers == []


def test_measuring_changes_nothing() -> None:
    model = make_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    TernaryProbe(model).measure()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
