"""Training's forward pass on Triton, here in its interpreter: torch's bits, or not taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from nanocore.model import quantise
from nanocore.model.bitlinear import BitLinear, frozen
from nanocore.model.quantise import ternary_weight
from nanocore.model.ternary_products import _packed_products, dequantised, plain_dequantised, plain_products
from nanokernels import inference_gpu, training_gpu
from tests.triton_kernels import kernels

ONE = torch.ones(())


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


def test_codes_and_what_they_stand_for_are_torchs_to_the_bit(triton_ops: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check that a GPU's own kernels have to pass, here passed in the interpreter."""
    monkeypatch.setattr(training_gpu, "SAMPLE", (6, 64, 5))
    monkeypatch.setattr(training_gpu, "_ops", lambda: triton_ops.ops)
    times = iter([1.0, 2.0] * 3 + [2.0, 1.0] * 2)
    monkeypatch.setattr(training_gpu, "_seconds", lambda *_: next(times))
    codes, values = training_gpu.better_codes.__wrapped__, training_gpu.better_values.__wrapped__
    assert codes(triton_ops.device, torch.float32, quantise.weight_codes)
    assert codes(triton_ops.device, torch.bfloat16, quantise.weight_codes)
    assert values(triton_ops.device, torch.float32, plain_dequantised)
    assert not codes(triton_ops.device, torch.float32, quantise.weight_codes)  # slower
    assert not values(triton_ops.device, torch.float32, plain_dequantised)
    assert not codes(triton_ops.device, torch.float32, lambda *given: -quantise.weight_codes(*given))
    assert not values(triton_ops.device, torch.float32, lambda *given: plain_dequantised(*given).nextafter(ONE))


def test_training_takes_what_passed_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forward quantiser of weights, and both operands of the backward pass."""
    taken: list[str] = []
    monkeypatch.setattr(training_gpu, "possible", lambda *_: True)
    for name in ("better_codes", "better_values"):
        monkeypatch.setattr(training_gpu, name, lambda *_, name=name: taken.append(name) or True)
    monkeypatch.setattr(training_gpu, "chosen_path", lambda *_: "float32")
    monkeypatch.setattr(training_gpu, "weight_codes", quantise.weight_codes)
    monkeypatch.setattr(training_gpu, "dequantised", lambda *given: taken.append("value") or plain_dequantised(*given))
    layer, x = BitLinear(8, 4), torch.randn(3, 8, requires_grad=True)
    torch.nn.init.normal_(layer.weight)
    layer(x).sum().backward()
    assert taken == ["better_codes", *["better_values", "value"] * 2]
    assert torch.equal(dequantised(*layer.quantise(), torch.float32), layer.quantise().dequantise())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_products_with_packed_matrices_pass_the_check(
    dtype: torch.dtype, triton_ops: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_gpu, "SAMPLE", (6, 72, 5))
    modules = {"triton_ops": triton_ops.ops, "triton_linear": triton_ops.linear}
    monkeypatch.setattr(inference_gpu, "_module", lambda name: modules[name])
    times = iter([1.0, 2.0, 2.0, 1.0])
    monkeypatch.setattr(training_gpu, "_seconds", lambda *_: next(times))
    decide = inference_gpu.better.__wrapped__
    assert decide(triton_ops.device, torch.float32, dtype, plain_products)
    assert not decide(triton_ops.device, torch.float32, dtype, plain_products)  # slower
    assert not decide(triton_ops.device, torch.float32, dtype, wrong)


def wrong(*given: Any) -> Any:
    codes, scale, (y,) = plain_products(*given)
    return codes, scale, [y + 1]


def test_a_frozen_layer_takes_packed_products_for_few_tokens(triton_ops: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `multiply` asks it for tensors on a GPU."""
    modules = {"triton_ops": triton_ops.ops, "triton_linear": triton_ops.linear}
    monkeypatch.setattr(inference_gpu, "_module", lambda name: modules[name])
    monkeypatch.setattr(training_gpu, "possible", lambda *_: True)
    monkeypatch.setattr(inference_gpu, "better", lambda *_: True)
    monkeypatch.setattr(training_gpu, "quantises", lambda *_: False)
    layers = torch.nn.ModuleList([BitLinear(24, rows) for rows in (7, 5)]).to(triton_ops.device)
    for layer in layers:
        torch.nn.init.normal_(layer.weight)
    x = torch.randn(2, 3, 24, device=triton_ops.device)
    assert not _packed_products(x, [layer.operand() for layer in layers])  # the weights may change
    with frozen(layers), torch.no_grad():
        expected = [plain_products(x.flatten(0, 1), [layer.ternary()], x.dtype)[2][0] for layer in layers]
        outputs = _packed_products(x, [layer.operand() for layer in layers])
        assert [output.shape for output in outputs] == [(2, 3, 7), (2, 3, 5)]
        assert all(torch.equal(a.flatten(0, 1), b) for a, b in zip(outputs, expected, strict=True))
        assert layers[0].planes() is layers[0].planes()
        assert not _packed_products(x.repeat(1, 6, 1), [layer.operand() for layer in layers])  # many tokens
    assert all(layer._planes is None for layer in layers)


def test_tensors_on_the_cpu_are_not_its_business() -> None:
    assert not training_gpu.usable(torch.ones(100, 8), [], torch.float32, plain_products)
    assert not training_gpu.quantises(torch.ones(4, 8), quantise.weight_codes)
    assert not training_gpu.dequantises(torch.ones(4, 8, dtype=torch.int8), torch.float32, plain_dequantised)
