"""Lion against its formula and against the library that is its reference."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nanocore.optim.lion import Lion


def test_three_steps_follow_the_formula() -> None:
    weight = nn.Parameter(torch.tensor([1.0, -2.0, 0.5, 4.0], dtype=torch.float64))
    optimizer = Lion([weight], lr=0.1, betas=(0.9, 0.8), weight_decay=0.5)
    weight.grad = torch.tensor([3.0, -1e-9, 0.0, -2.0], dtype=torch.float64)
    optimizer.step()  # c = 0.1 g; m = 0.2 g; a zero gradient moves nothing beyond the decay
    shrunk = torch.tensor([0.95, -1.9, 0.475, 3.8], dtype=torch.float64)
    sign = torch.tensor([1.0, -1.0, 0.0, -1.0], dtype=torch.float64)
    torch.testing.assert_close(weight.data, shrunk - 0.1 * sign)
    first = weight.detach().clone()
    weight.grad = torch.tensor([-6.0, 1e-9, 1.0, 0.0], dtype=torch.float64)
    optimizer.step()  # c = 0.9 m + 0.1 g = 0.54 - 0.6 < 0 ; -0.18e-9 + 0.1e-9 < 0 ; 0.1 ; -0.36
    sign = torch.tensor([-1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    torch.testing.assert_close(weight.data, first * 0.95 - 0.1 * sign)
    second = weight.detach().clone()
    weight.grad = torch.tensor([6.2, 0.0, 0.0, 0.0], dtype=torch.float64)
    optimizer.step()  # m = 0.8 * 0.6 - 0.2 * 6 = -0.72, c = -0.648 + 0.62 < 0
    assert (weight.data - second * 0.95)[0].item() == pytest.approx(0.1)


@pytest.mark.oracle
def test_equals_lion_pytorch_bit_for_bit() -> None:
    reference = pytest.importorskip("lion_pytorch")
    torch.manual_seed(0)
    mine, theirs = [nn.Parameter(torch.randn(7, 5)) for _ in range(2)]
    theirs.data.copy_(mine.data)
    keys = {"lr": 3e-4, "betas": (0.9, 0.99), "weight_decay": 0.1}
    both = [Lion([mine], **keys), reference.Lion([theirs], **keys)]
    for _ in range(20):
        mine.grad = torch.randn(7, 5)
        theirs.grad = mine.grad.clone()
        for optimizer in both:
            optimizer.step()
        assert torch.equal(mine.data, theirs.data)
