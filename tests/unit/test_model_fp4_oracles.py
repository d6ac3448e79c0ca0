"""FP4 as torchao has it (dependency group `oracle`)."""

from __future__ import annotations

import pytest
import torch

from nanocore.model.fp4 import e2m1, fake_quantise

pytestmark = pytest.mark.oracle


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_e2m1_rounds_as_torchao_does() -> None:
    from torchao.prototype.mx_formats.kernels import f4_unpacked_to_f32, f32_to_f4_unpacked

    values = torch.cat((torch.linspace(-7, 7, 14_001), torch.arange(-24, 25) / 4))
    assert torch.equal(e2m1(values), f4_unpacked_to_f32(f32_to_f4_unpacked(values)))


@pytest.mark.parametrize("spread", [0.0, 1.0, 4.0])
def test_nvfp4_is_that_of_torchao(spread: float) -> None:
    from torchao.prototype.mx_formats.nvfp4_tensor import NVFP4Tensor, per_tensor_amax_to_scale

    x = normal(128, 256) * (normal(128, 256, seed=1) * spread).exp()
    theirs = NVFP4Tensor.to_nvfp4(x, per_tensor_scale=per_tensor_amax_to_scale(x.abs().max()))
    assert torch.equal(fake_quantise(x, "nvfp4"), theirs.dequantize(torch.float32))


@pytest.mark.parametrize("spread", [0.0, 1.0, 4.0])
def test_mxfp4_is_that_of_torchao_with_scales_rounded_up(spread: float) -> None:
    from torchao.prototype.mx_formats.config import ScaleCalculationMode
    from torchao.prototype.mx_formats.mx_tensor import MXTensor

    x = normal(128, 256) * (normal(128, 256, seed=1) * spread).exp()
    theirs = MXTensor.to_mx(x, torch.float4_e2m1fn_x2, 32, ScaleCalculationMode.RCEIL)
    assert torch.equal(fake_quantise(x, "mxfp4"), theirs.dequantize(torch.float32))
