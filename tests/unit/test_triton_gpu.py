"""The Triton kernels on a GPU: exact over odd and large shapes, tuned, and inside a CUDA graph."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nanocore.model.quantise import ternary_weight
from nanokernels import ops, triton_linear, triton_ops, triton_tune
from nanokernels.packing import pack
from nanokernels.plain import token_codes
from nanokernels.triton_language import installed
from nanokernels.triton_planes import Planes, pack_planes
from tests.planes import unpack_planes

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
    pytest.mark.skipif(not installed, reason="not run: triton is not installed"),
]

SHAPES = [
    (1, 1, 0),
    (63, 2051, 0),
    (1000, 4096, 128),
    (4096, 4096, 0),
    (4097, 11008, 0),
    (130, 50000, 0),
    (300, 2160, 36),
]


def random_planes(rows: int, columns: int, group_size: int) -> Planes:
    codes = torch.randint(-1, 2, (rows, columns), dtype=torch.int8, device="cuda")
    shape = (rows, columns // group_size) if group_size else (1, 1)
    return pack_planes(codes, torch.rand(shape, device="cuda"))


def random_codes(tokens: int, columns: int) -> Tensor:
    return torch.randint(-127, 128, (tokens, columns), dtype=torch.int8, device="cuda")


def whole_sums(codes: Tensor, planes: Planes) -> Tensor:
    """In float64, where sums below 2^53 are exact: (groups, N, M)."""
    weight = unpack_planes(planes)[0]
    groups = [tensor.double().unflatten(1, (planes.groups, -1)).transpose(0, 1) for tensor in (codes, weight)]
    return groups[0] @ groups[1].mT


@pytest.mark.parametrize(("rows", "columns", "group_size"), SHAPES)
@pytest.mark.parametrize("tokens", [1, 2, 16, 17, 100, 300])
def test_sums_are_exact(rows: int, columns: int, group_size: int, tokens: int) -> None:
    planes, codes = random_planes(rows, columns, group_size), random_codes(tokens, columns)
    assert torch.equal(triton_linear.int_sums(codes, planes).double(), whole_sums(codes, planes))


@pytest.mark.parametrize("tokens", [1, 16, 64, 256])
def test_every_candidate_is_exact(tokens: int) -> None:
    planes, codes = random_planes(200, 4100, 0), random_codes(tokens, 4100)
    exact = whole_sums(codes, planes)
    for blocks in triton_tune.candidates(planes, tokens, processors=132):
        assert torch.equal(triton_linear.int_sums(codes, planes, blocks).double(), exact), blocks


def test_the_largest_values_are_exact() -> None:
    codes = torch.full((3, 132_096), 127, dtype=torch.int8, device="cuda")
    for code in (-1, 1):
        weight = torch.full((70, 132_096), code, dtype=torch.int8, device="cuda")
        sums = triton_linear.int_sums(codes, pack_planes(weight, torch.ones(1, 1, device="cuda")))
        assert (sums == 127 * code * 132_096).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("rows", "columns", "group_size"), SHAPES)
def test_the_linear_map_is_that_of_training(rows: int, columns: int, group_size: int, dtype: torch.dtype) -> None:
    planes, x = random_planes(rows, columns, group_size), torch.randn(5, columns).to(dtype)
    codes, token_scale = token_codes(x)
    sums = whole_sums(codes.cuda(), planes)
    expected = (sums * planes.scale.view(-1, 1, planes.scale.shape[1])).sum(0) * token_scale.cuda().double()
    step = torch.finfo(dtype).eps
    torch.testing.assert_close(
        triton_linear.ternary_linear(x.cuda(), planes).double(), expected, rtol=max(1e-5, step), atol=1e-4
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_token_codes_are_those_of_the_cpu_to_the_bit(dtype: torch.dtype) -> None:
    x = (torch.randn(2000, 1531) * torch.logspace(-7, 3, 2000)[:, None]).to(dtype)
    expected = token_codes(x)
    codes, scale = triton_ops.token_codes(x.cuda())
    assert torch.equal(scale.cpu(), expected.scale)
    assert torch.equal(codes.cpu().float(), expected.codes)


@pytest.mark.parametrize("group_size", [0, 128])
def test_weight_codes_are_those_of_the_cpu_for_the_same_scale(group_size: int) -> None:
    weight = torch.randn(3000, 2048)
    expected = ternary_weight(weight, group_size)
    codes = triton_ops.weight_codes(weight.cuda(), expected.scale.cuda())
    assert torch.equal(codes.cpu(), expected.codes)


def test_tuning_remembers_a_choice_and_the_result_stays_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_tune, "chosen", {})
    planes, codes = random_planes(4096, 4096, 0), random_codes(1, 4096)
    best = triton_linear.tune(planes, 1)
    assert triton_tune.blocks_for(planes, 1) is best
    monkeypatch.setattr(triton_tune, "chosen", {})
    assert triton_tune.blocks_for(planes, 1) == best
    assert torch.equal(triton_linear.int_sums(codes, planes).double(), whole_sums(codes, planes))


def test_the_public_product_takes_triton_for_tensors_on_the_gpu() -> None:
    packed = pack(torch.randint(-1, 2, (130, 256)).to(torch.int8), torch.rand(1, 1))
    there = replace(packed, data=packed.data.cuda(), scale=packed.scale.cuda())
    x = torch.randn(3, 256)
    assert ops.active_path(there.data.device) == "triton"
    assert torch.equal(ops.ternary_linear(x.cuda(), there).cpu(), ops.ternary_linear(x, packed, path="torch"))


def test_a_cuda_graph_replays_the_product() -> None:
    planes, x = random_planes(1024, 2048, 0), torch.randn(1, 2048, device="cuda")
    triton_linear.ternary_linear(x, planes)  # compiles
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = triton_linear.ternary_linear(x, planes)
    x.copy_(torch.randn(1, 2048))
    graph.replay()
    assert torch.equal(y, triton_linear.ternary_linear(x, planes))
