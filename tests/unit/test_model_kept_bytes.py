"""What a forward pass keeps for the backward pass, counted from live tensors."""

from __future__ import annotations

import torch

from tests.kept import kept_for_backward, live_bytes
from tests.models import make_model, random_tokens


def test_memory_shared_by_several_tensors_counts_once() -> None:
    base = torch.zeros(10, 10)
    assert live_bytes([base, base[2:], base.T, torch.zeros(3, dtype=torch.int8)]) == 403
    assert live_bytes([]) == 0


def test_a_ternary_model_keeps_less_for_backward_than_its_float_twin() -> None:
    """Inputs of linears are kept as codes of one byte instead of floats of four."""
    kept = {}
    for linear in ("ternary", "float"):
        model = make_model(linear=linear)
        with kept_for_backward(model) as found:
            hidden = model(random_tokens(8, 24))
        assert hidden.requires_grad
        kept[linear] = found.bytes
    saved = 8 * 24 * 2 * (4 - 1) * (32 + 32 + 48)  # tokens, layers, bytes, widths of hidden inputs of the projections
    assert kept["ternary"] < kept["float"] - 0.5 * saved


def test_parameters_do_not_count_as_kept() -> None:
    linear, x = torch.nn.Linear(20, 30, bias=False), torch.zeros(5, 20, requires_grad=True)
    with kept_for_backward(linear) as found:
        y = linear(x)
    assert y.requires_grad and found.bytes == 5 * 20 * 4


def test_nothing_is_kept_without_gradients() -> None:
    model = make_model()
    with torch.no_grad(), kept_for_backward(model) as found:
        model(random_tokens(1, 8))
    assert found.bytes == 0
