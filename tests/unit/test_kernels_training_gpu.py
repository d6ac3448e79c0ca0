"""Training's forward pass on Triton, here in its interpreter: torch's bits, or not taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from nanocore.model.bitlinear import plain_products
from nanocore.model.quantize import ternary_weight
from nanokernels import training_gpu
from tests.triton_kernels import kernels


@pytest.fixture(scope="module")
def triton_ops() -> Iterator[Any]:
    with kernels() as found:
        yield found


@pytest.mark.parametrize("shape", [(7, 32, 24), (33, 50, 17)])
def test_products_are_torchs_to_the_bit(
    shape: tuple[int, int, int], triton_ops: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, columns, rows = shape
    monkeypatch.setattr(training_gpu, "_ops", lambda: triton_ops.ops)
    draw = torch.Generator().manual_seed(3)
    x = torch.randn(tokens, columns, generator=draw).to(triton_ops.device)
    matrices = [ternary_weight(torch.randn(rows, columns, generator=draw).to(triton_ops.device)) for _ in range(2)]
    mine, theirs = (way(x, matrices, torch.float32) for way in (training_gpu.products, plain_products))
    assert all(torch.equal(a, b) for a, b in zip([*mine[:2], *mine[2]], [*theirs[:2], *theirs[2]], strict=True))


def test_the_sample_decides_whether_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_gpu, "SAMPLE", (4, 8, 8))
    device, kind = torch.device("cpu"), torch.float32
    times = iter([1.0, 2.0, 2.0, 1.0])
    monkeypatch.setattr(training_gpu, "_seconds", lambda *_: next(times))
    monkeypatch.setattr(training_gpu, "products", plain_products)
    decide = training_gpu.better.__wrapped__
    assert decide(device, kind, kind, plain_products)
    assert not decide(device, kind, kind, plain_products)  # slower

    def wrong(*given: Any) -> Any:
        codes, scale, (y,) = plain_products(*given)
        return codes, scale, [y.nextafter(y + 1)]

    monkeypatch.setattr(training_gpu, "products", wrong)
    assert not decide(device, kind, kind, plain_products)


def test_tensors_on_the_cpu_are_not_its_business() -> None:
    assert not training_gpu.usable(torch.ones(100, 8), [], torch.float32, plain_products)
