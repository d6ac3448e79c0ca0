"""Ternary products on a GPU beside bf16 ones: python -m tests.bench.gpu_kernels [--rows 8192 --columns 8192] [--batches 1 ...].

As many different matrices as make 192 MB packed, and at least 4, are multiplied one after the other in one CUDA graph, so that
none is still in the L2 cache when its turn comes again; bf16 gets the same matrices unpacked. `product` takes codes that
are ready, `linear` quantises the tokens as well. Times are medians over replays, interleaved; bandwidth counts the bytes of
the weights alone, beside the bandwidth of a plain copy (bytes read and written) measured in the same run.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nanokernels import triton_linear
from nanokernels.triton_language import unavailable
from nanokernels.triton_ops import padded_token_codes
from nanokernels.triton_planes import Planes, pack_planes

LEAST_BYTES = 192 << 20  # packed; the L2 of the largest GPUs is near 64 MB (H200: 50, B200: 126)
LEAST_MATRICES = 4
BATCHES = (1, 2, 4, 8, 16, 64, 256)


def captured(work: Callable[[], object]) -> torch.cuda.CUDAGraph:
    """A graph of the work, which runs once before: kernels compile outside of the capture."""
    work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph


def milliseconds(graph: torch.cuda.CUDAGraph) -> float:
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    graph.replay()
    end.record()
    end.synchronize()
    return start.elapsed_time(end)


def medians(graphs: Sequence[torch.cuda.CUDAGraph], rounds: int) -> list[float]:
    """Milliseconds of each graph: rounds are interleaved, and the first does not count."""
    times = [[milliseconds(graph) for graph in graphs] for _ in range(rounds + 1)][1:]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def copy_graph() -> tuple[torch.cuda.CUDAGraph, int]:
    """A copy of 1 GiB, and the bytes it moves."""
    source = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return captured(lambda: target.copy_(source)), 2 * source.numel()


def matrices(rows: int, columns: int, groups: int) -> tuple[list[Planes], list[Tensor]]:
    """Random ternary matrices, packed and in bf16."""
    count = max(LEAST_MATRICES, -(-LEAST_BYTES * 4 // (rows * columns)))
    packed, wide = [], []
    for _ in range(count):
        codes = torch.randint(-1, 2, (rows, columns), dtype=torch.int8, device="cuda")
        packed.append(pack_planes(codes, torch.rand((1, 1) if groups == 1 else (rows, groups), device="cuda")))
        wide.append(codes.to(torch.bfloat16))
    return packed, wide


def measure(packed: Sequence[Planes], wide: Sequence[Tensor], batch: int, rounds: int) -> list[float]:
    """Milliseconds of all matrices: product, linear, bf16, and the copy last."""
    x = torch.randn(batch, packed[0].columns, dtype=torch.bfloat16, device="cuda")
    codes, scale, offsets = padded_token_codes(x, packed[0].groups)

    def products() -> None:
        for planes in packed:
            triton_linear.scaled_product(codes, scale, offsets, planes, dtype=x.dtype)

    def linears() -> None:
        for planes in packed:
            triton_linear.ternary_linear(x, planes)

    def floats() -> None:
        for weight in wide:
            x @ weight.mT

    return medians([captured(products), captured(linears), captured(floats), copy_graph()[0]], rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=8192)
    parser.add_argument("--columns", type=int, default=8192)
    parser.add_argument("--groups", type=int, default=1)
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--no-tune", action="store_true", help="use the default cut instead of measuring it")
    arguments = parser.parse_args()
    reason = unavailable(torch.device("cuda")) if torch.cuda.is_available() else "there is no GPU"
    if reason:
        raise SystemExit(f"not run: {reason}")
    packed, wide = matrices(arguments.rows, arguments.columns, arguments.groups)
    size = sum(planes.data.numel() for planes in packed)
    print(
        f"{torch.cuda.get_device_name()}; {len(packed)} matrices of {arguments.rows} x {arguments.columns}, {size / 1e6:.0f} MB packed"
    )
    print(
        f"{'batch':>5} {'product us':>10} {'GB/s':>6} {'copy GB/s':>9} {'linear us':>9} {'bf16 us':>8} {'faster':>6}  blocks"
    )
    for batch in arguments.batches:
        blocks = (
            triton_linear.blocks_for(packed[0], batch) if arguments.no_tune else triton_linear.tune(packed[0], batch)
        )
        product, linear, wide_ms, copy = measure(packed, wide, batch, arguments.rounds)
        rate, copy_rate = size / product / 1e6, (2 << 30) / copy / 1e6
        each = [1000 * time / len(packed) for time in (product, linear, wide_ms)]
        print(
            f"{batch:>5} {each[0]:>10.1f} {rate:>6.0f} {copy_rate:>5.0f} {rate / copy_rate:>4.0%} {each[1]:>10.1f} {each[2]:>8.1f} "
            f"{wide_ms / linear:>5.1f}x  {blocks}"
        )  # fmt: skip


if __name__ == "__main__":
    main()
