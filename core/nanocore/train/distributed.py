"""Several processes train one model: each reads its share of the rows, gradients are summed, all decide together.

Started by torchrun, which sets RANK, WORLD_SIZE and the address. Without it there is one process, no process group is
made, and every function here returns at once. Every rank must call these functions in the same order.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from nanocore.errors import ResourceError, UsageError

BUCKET_BYTES = 64 * 2**20  # gradients travel in flat pieces of about this size


@dataclass(frozen=True)
class World:
    """This process's number, how many there are, and the device it computes on."""

    rank: int
    size: int
    device: torch.device


def join(device: torch.device) -> World:
    """Join the other processes torchrun started: gloo for CPU, NCCL for CUDA (one device a local rank).

    UsageError when the environment is not torchrun's, ResourceError when the others cannot be reached.
    """
    rank, size = _environment("RANK", 0), _environment("WORLD_SIZE", 1)
    if size == 1:
        return World(0, 1, device)
    if device.type == "cuda":
        device = torch.device("cuda", _environment("LOCAL_RANK", rank))
        torch.cuda.set_device(device)
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", rank=rank, world_size=size)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ResourceError(f"process {rank} of {size} cannot join the others: {reason}") from error
    return World(rank, size, device)


def _environment(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdecimal():
        raise UsageError(f"{text!r} is not a number", where=f"${name}", fix="start with torchrun, or unset it")
    return int(text)


def leave() -> None:
    """Leave the process group, if there is one."""
    if _together():
        dist.destroy_process_group()


def _together() -> bool:
    return dist.is_available() and dist.is_initialized()


def sum_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace every gradient by its sum over all ranks; one that is missing, on a rank without rows, counts as 0.

    With each rank's loss being (sum of its token losses) / (tokens of all ranks), the result is the gradient of the
    mean over all tokens, so that the curve does not depend on the number of ranks.
    """
    if not _together():
        return
    for bucket in _buckets([_gradient(parameter) for parameter in parameters]):
        flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
        dist.all_reduce(flat)
        pieces = flat.split([gradient.numel() for gradient in bucket])
        for gradient, piece in zip(bucket, pieces, strict=True):
            gradient.copy_(piece.view_as(gradient))


def _gradient(parameter: Tensor) -> Tensor:
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def _buckets(gradients: list[Tensor]) -> Iterator[list[Tensor]]:
    """Gradients in order, in lists of one dtype of about BUCKET_BYTES."""
    bucket: list[Tensor] = []
    size = 0
    for gradient in gradients:
        if bucket and (size >= BUCKET_BYTES or gradient.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(gradient)
        size += gradient.numel() * gradient.element_size()
    if bucket:
        yield bucket


def sum_over_ranks(values: Tensor) -> Tensor:
    """The elementwise sum over all ranks, in place; `values` lies on the world's device."""
    if _together():
        dist.all_reduce(values)
    return values


def sum_numbers(values: list[float], world: World) -> list[float]:
    """The same for plain numbers, in float64."""
    if world.size == 1:
        return values
    return sum_over_ranks(torch.tensor(values, dtype=torch.float64, device=world.device)).tolist()


def agree(flags: list[int]) -> list[int]:
    """Each flag as the largest of all ranks: when one must stop, all stop at the same step, with the same exit code."""
    if not _together():
        return flags
    shared = torch.tensor(flags, dtype=torch.int64, device=_device())
    dist.all_reduce(shared, op=dist.ReduceOp.MAX)
    return shared.tolist()


def broadcast_json(value: Any) -> Any:
    """Rank 0's `value` (anything JSON can hold) on every rank. As JSON text, because torch's own way is pickle."""
    if not _together():
        return value
    text = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8).to(_device())
    length = torch.tensor(len(text), device=_device())
    dist.broadcast(length, src=0)
    buffer = text if dist.get_rank() == 0 else torch.empty(int(length.item()), dtype=torch.uint8, device=_device())
    dist.broadcast(buffer, src=0)
    return json.loads(buffer.cpu().numpy().tobytes())


def _device() -> torch.device:
    """Where the process group's messages lie: NCCL carries only CUDA tensors."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
