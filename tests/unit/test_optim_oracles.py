"""The codes and projections of other libraries, where the group `oracle` is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nanocore.optim.galore import leading_basis
from nanocore.optim.momentum import wide
from nanocore.optim.quantised_state import dequantise, dynamic_map, quantise

pytestmark = pytest.mark.oracle


def heavy_tailed(count: int) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(count) * torch.rand(count) ** 4


def test_the_dynamic_map_is_that_of_bitsandbytes() -> None:
    functional = pytest.importorskip("bitsandbytes.functional")
    assert torch.equal(dynamic_map(torch.device("cpu")), functional.create_dynamic_map())


@pytest.mark.parametrize("block", [64, 256, 2048])
def test_dynamic_codes_are_those_of_bitsandbytes(block: int) -> None:
    """Its own search for the nearest code, which serves dtypes that its CPU kernel does not know.

    The kernel looks values near zero up in a coarse table, and is never nearer.
    """
    functional = pytest.importorskip("bitsandbytes.functional")
    x = heavy_tailed(20_003)
    codes, scales = quantise(x, "int8-dynamic", block)
    table = functional.create_dynamic_map()
    theirs, their_scales = torch.ops.bitsandbytes.quantize_blockwise.default(x.double(), table, block)
    assert torch.equal(codes, theirs) and torch.equal(scales, their_scales)
    found = dequantise(codes, scales, "int8-dynamic", block, x.shape)
    read = torch.ops.bitsandbytes.dequantize_blockwise.default
    assert torch.equal(found, read(theirs, scales, table, block, torch.float32))
    coarse, _ = functional.quantize_blockwise(x, blocksize=block)
    error = (read(coarse, scales, table, block, torch.float32) - x).abs()
    assert ((found - x).abs() <= error + 1e-6 * x.abs().max()).all()


def galore_projector(rank: int) -> Any:
    """galore_torch's, from its file: the package itself wants transformers."""
    package = importlib.util.find_spec("galore_torch")
    if package is None or package.origin is None:
        pytest.skip("galore_torch is not installed")
    file = Path(package.origin).with_name("galore_projector.py")
    spec = importlib.util.spec_from_file_location("galore_projector", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.GaLoreProjector(rank)


@pytest.mark.parametrize("shape", [(20, 48), (48, 20), (32, 32)])
def test_the_projection_is_galores(shape: tuple[int, int]) -> None:
    projector = galore_projector(6)
    torch.manual_seed(0)
    gradient = torch.randn(shape)
    theirs = projector.project_back(projector.project(gradient, 0))
    # A square matrix has no shorter side: it projects from the right, we from the left; at a refresh both give the
    # truncated decomposition.
    basis = leading_basis(wide(gradient), 6)
    ours = basis.mT @ (basis @ wide(gradient))
    torch.testing.assert_close(ours if shape[0] <= shape[1] else ours.mT, theirs, rtol=0, atol=1e-4)
