"""Training's forward pass on the native kernels: the same bits as torch, forward and backward, or not taken."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from nanocore.model.bitlinear import BitLinear, project
from nanokernels import autotune, training

needs_vectors = pytest.mark.skipif(training._path() is None, reason="not run: no vector kernels on this machine")


def passed(x: Tensor, layers: list[BitLinear], monkeypatch: pytest.MonkeyPatch, *, native: bool) -> list[Tensor]:
    """Outputs, and gradients of input and weights, on the native kernels or on torch's."""
    asked: list[bool] = []
    monkeypatch.setattr(training, "faster", lambda *_: asked.append(native) or native)
    x = x.clone().requires_grad_()
    outputs = project(x, layers)
    sum((output.square().sum() for output in outputs), torch.zeros(())).backward()
    assert asked, "the choice was never made"
    gradients = [layer.weight.grad for layer in layers]
    for layer in layers:
        layer.weight.grad = None
    return [*outputs, x.grad, *gradients]  # pyright: ignore[reportReturnType]


def layers(columns: int, *rows: int, group_size: int = 0) -> list[BitLinear]:
    made = [BitLinear(columns, count, group_size) for count in rows]
    for seed, layer in enumerate(made):
        torch.nn.init.normal_(layer.weight, std=0.02, generator=torch.Generator().manual_seed(seed))
    return made


@needs_vectors
@pytest.mark.parametrize(("columns", "rows"), [(128, (96, 32, 32)), (50, (7,)), (33, (65, 1))])
def test_both_ways_give_the_same_bits(columns: int, rows: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(5, 30, columns, generator=torch.Generator().manual_seed(9))
    x[0, 0] = 0.0
    native, plain = (passed(x, layers(columns, *rows), monkeypatch, native=way) for way in (True, False))
    assert all(torch.equal(a, b) for a, b in zip(native, plain, strict=True))


@needs_vectors
def test_the_native_way_is_really_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "faster", lambda *_: True)
    monkeypatch.setattr(training, "products", lambda x, matrices: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        project(torch.ones(training.FEWEST_TOKENS, 8), layers(8, 4))


@pytest.mark.parametrize(
    ("x", "group_size"),
    [
        (torch.ones(training.FEWEST_TOKENS - 1, 8), 0),
        (torch.ones(100, 8, dtype=torch.float64), 0),
        (torch.ones(100, 8), 4),
    ],
    ids=["few tokens", "float64", "scale groups"],
)
def test_what_it_cannot_do_to_the_bit_is_left_to_torch(
    x: Tensor, group_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "faster", lambda *_: True)
    (layer,) = layers(8, 4, group_size=group_size)
    assert not training.usable(x, [layer.to(x.dtype).quantise()])


@needs_vectors
def test_the_choice_is_measured_once_for_a_shape_and_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path))
    monkeypatch.setattr(autotune, "STEADY", float("inf"))
    monkeypatch.setattr(autotune, "SECONDS", 0.0)
    counted: list[int] = []
    products = training.products
    monkeypatch.setattr(training, "products", lambda x, matrices: counted.append(len(x)) or products(x, matrices))
    autotune.reset()
    try:
        way = training.faster(64, 8, 4, 1)
        assert training.faster(64, 8, 4, 1) is way and len(counted) == autotune.FEWEST_ROUNDS + 1
        training.faster.cache_clear()  # what the next process knows
        assert training.faster(64, 8, 4, 1) is way and len(counted) == autotune.FEWEST_ROUNDS + 1
        (entry,) = autotune.inspect().items()
        assert entry[0].startswith("training, 64 x 8 x 4,") and entry[0].endswith("threads 1")
        assert entry[1]["way"] == ("native" if way else "torch")
        training.faster(64, 8, 4, 2)
        assert len(autotune.inspect()) == 2
    finally:
        autotune.reset()


@needs_vectors
def test_like_numbers_of_tokens_are_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(training, "faster", lambda tokens, *_: asked.append(tokens) or True)
    weight = [layers(8, 4)[0].quantise()]
    for tokens in range(training.FEWEST_TOKENS, 600):
        assert training.usable(torch.ones(tokens, 8), weight)
    assert set(asked) == {64, 128, 256, 512}
