"""Rows of kept tokens: where they are filled up, nothing but their number changes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nanocore.model import filled_rows
from nanocore.model.kept_rows import KeptRows, attend, filtered_linear

B, T, C = 3, 50, 16


def mask() -> Tensor:
    return torch.rand((B, T), generator=torch.Generator().manual_seed(1)) < 0.6


def run(monkeypatch: pytest.MonkeyPatch, multiple: int) -> tuple[list[Tensor], list[int]]:
    """Gradients of a linear and an attention in bfloat16, and the numbers of rows that were gathered."""
    monkeypatch.setattr(filled_rows, "ROWS", multiple)
    generator, kept, seen = torch.Generator().manual_seed(2), KeptRows(), []
    gather = kept.gather
    kept.gather = lambda tensor: seen.append(len(found := gather(tensor))) or found  # type: ignore[method-assign]
    x = torch.randn((B, T, C), generator=generator).requires_grad_()
    weight = torch.randn((3 * C, C), generator=generator).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        query, key, value = (part.unsqueeze(1) for part in filtered_linear(x, weight, kept).chunk(3, dim=-1))
        y = attend(query, key, value, None, kept)
        kept.keep(mask())
    (y.float().squeeze(1) * mask().unsqueeze(-1)).square().sum().backward()
    assert x.grad is not None and weight.grad is not None
    return [x.grad, weight.grad], seen


def test_rows_are_filled_up_in_bfloat16_on_a_cpu_and_gradients_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    filled, rows = run(monkeypatch, 32)
    plain, own = run(monkeypatch, 1)
    count = int(mask().sum())
    assert set(own) == {count} and count % 32 and set(rows) == {-(-count // 32) * 32}
    for found, expected in zip(filled, plain, strict=True):
        torch.testing.assert_close(found, expected, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("options", [{"enabled": False}, {"dtype": torch.bfloat16}], ids=["float32", "bfloat16"])
def test_queries_are_filled_up_where_rows_are_and_never_beyond_the_sequence(options: dict[str, Any]) -> None:
    kept, few = KeptRows(), torch.zeros((B, T), dtype=torch.bool)
    few[0, :3], few[1, 7] = True, True
    with torch.autocast("cpu", **options):
        kept.keep(few)
        assert kept.columns is not None and kept.columns.shape == (B, 3 if options.get("enabled") is False else 32)
        kept.keep(torch.ones((B, T), dtype=torch.bool))
    assert kept.columns.shape == (B, T)
    rows = kept.gather(torch.ones((B * T, 2)))
    assert rows.sum() == 2 * B * T and kept.scatter(rows).shape == (B * T, 2)
