"""What a step does to each matrix: gradient norms before clipping and update ratios, by their formulas."""

from __future__ import annotations

import math

import pytest
import torch

from nanocore.analysis import updates
from nanocore.analysis.updates import UpdateProbe, clip_factor, sample
from nanocore.model.roles import role_of
from tests.models import make_model, next_token_loss, random_tokens


def test_gradient_norms_and_update_ratios_are_those_of_the_formulas() -> None:
    model = make_model(n_layers=2)
    probe = UpdateProbe(model, model.roles())
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    probe.before()
    next_token_loss(model, random_tokens(2, 17)).backward()
    total = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    torch.optim.SGD(model.parameters(), lr=0.5).step()
    rows = {row["name"]: row for row in probe.after(clip_factor(float(total), 0.1))}
    assert set(rows) == {name for name in before if role_of(name) in ("matrix", "embedding", "head")}
    for name, parameter in model.named_parameters():
        if name in rows:
            assert parameter.grad is not None
            change = (parameter.detach() - before[name]).norm() / before[name].norm()
            assert rows[name]["update_ratio"] == pytest.approx(float(change), rel=1e-4)
            assert rows[name]["gradient_norm"] == pytest.approx(float(parameter.grad.norm() * total / 0.1), rel=1e-3)


def test_a_matrix_without_gradient_or_weights_has_no_number_that_looks_like_one() -> None:
    model = torch.nn.Linear(3, 2, bias=False)
    torch.nn.init.zeros_(model.weight)
    probe = UpdateProbe(model, {"weight": "matrix"})
    probe.before()
    (row,) = probe.after(1.0)
    assert math.isnan(row["update_ratio"]) and "gradient_norm" not in row


def test_of_a_large_matrix_entries_of_every_column_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "MOST_ENTRIES", 64)
    matrix = torch.arange(128.0).repeat(32, 1)  # an entry is the number of its column
    chosen = sample(matrix)
    assert 16 <= chosen.numel() <= 64 and len(set((chosen % 2).tolist())) == 2
    assert torch.equal(sample(matrix[:1, :50]), matrix[0, :50])


@pytest.mark.parametrize(("norm", "limit", "factor"), [(4.0, 1.0, 0.25), (0.5, 1.0, 1.0), (9.0, 0.0, 1.0)])
def test_the_clip_factor_is_what_gradients_were_multiplied_by(norm: float, limit: float, factor: float) -> None:
    assert clip_factor(norm, limit) == pytest.approx(factor, rel=1e-6)
