"""How the ternary product is cut into programs: a rule that is right without measuring, and a choice by measurement.

The best cut depends on the shape, the number of tokens and the GPU. `default_blocks` occupies the GPU; `tune` in
`triton_linear` times `candidates`, which compiles each, and the fastest is remembered in the file of `autotune`, for this GPU
and these versions. (Triton's own autotuner can neither size the buffer of a split product nor run in the interpreter.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from pathlib import Path

import torch

from nanokernels import tuned_file
from nanokernels.triton_language import power_of_two, triton
from nanokernels.triton_planes import Planes

FEW_TOKENS = 16  # the narrowest tile of the tensor cores; up to here the product is bound by reading the matrix
Key = tuple[str, int, int, int, int]  # device, rows, columns, groups, tokens


@dataclass(frozen=True)
class Blocks:
    """Tile sizes (powers of two, bytes >= 32), how many programs share the columns, and Triton's launch options."""

    rows: int
    tokens: int
    bytes: int
    splits: int
    warps: int
    stages: int


chosen: dict[Key, Blocks] = {}


def key(planes: Planes, tokens: int) -> Key:
    """Products with one key share their blocks: up to 16 tokens are told apart, then powers of two."""
    device = planes.data.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    bucket = tokens if tokens <= FEW_TOKENS else 1 << (tokens - 1).bit_length()
    return name, planes.rows, planes.columns, planes.groups, bucket


def blocks_for(planes: Planes, tokens: int) -> Blocks:
    """What was measured to be fastest, now or by an earlier process, or else the default."""
    place = key(planes, tokens)
    if place not in chosen:
        default = default_blocks(planes, tokens, processors(planes.data.device))
        chosen[place] = _read(place) or default
    return chosen[place]


def remember(planes: Planes, tokens: int, blocks: Blocks) -> None:
    """These blocks are the fastest, here and for later processes."""
    place = key(planes, tokens)
    chosen[place] = blocks
    tuned_file.write(_name(place), asdict(blocks))


def _name(place: Key) -> str:
    device, rows, columns, groups, tokens = place
    return f"triton {_version()} on {device}: {rows}x{columns} groups {groups} tokens {tokens}"


@cache
def _version() -> str:
    """Of Triton, and of what it compiles."""
    digest = hashlib.sha256(Path(__file__).with_name("triton_product.py").read_bytes()).hexdigest()[:8]
    return f"{getattr(triton, '__version__', 'missing')} {digest}"


def _read(place: Key) -> Blocks | None:
    """What the file has, if it is whole and could have been written here."""
    known = tuned_file.read(_name(place)) or {}
    names = [field.name for field in fields(Blocks)]
    sizes = {name: known[name] for name in names if type(known.get(name)) is int and known[name] > 0}
    if len(sizes) < len(names):
        return None
    blocks = Blocks(**sizes)
    tiles = (blocks.rows, blocks.tokens, blocks.bytes)
    legal = all(size == power_of_two(size) for size in tiles) and blocks.tokens >= 16 and blocks.bytes >= 32
    return blocks if legal else None


def processors(device: torch.device) -> int:
    """Streaming multiprocessors of the GPU; 1 for the interpreter."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1


def default_blocks(planes: Planes, tokens: int, processors: int) -> Blocks:
    """Tiles for the number of tokens, then splits of at least four steps until each processor has two programs."""
    if tokens <= FEW_TOKENS:
        blocks = Blocks(rows=64, tokens=16, bytes=128, splits=1, warps=4, stages=4)
    elif tokens <= 64:
        blocks = Blocks(rows=64, tokens=32 if tokens <= 32 else 64, bytes=128, splits=1, warps=4, stages=3)
    else:
        blocks = Blocks(rows=128, tokens=128, bytes=64, splits=1, warps=8, stages=3)
    size = min(blocks.bytes, max(32, power_of_two(planes.plane)))
    programs = -(-planes.rows // blocks.rows) * -(-tokens // blocks.tokens)
    most = planes.groups * -(-planes.plane // size) // 4
    return replace(blocks, bytes=size, splits=max(1, min(most, 2 * processors // programs)))


def share(planes: Planes, blocks: Blocks) -> tuple[int, int]:
    """What one split takes, and how many splits that makes: whole groups with group scales, else whole tiles of bytes."""
    if planes.grouped:
        each = -(-planes.groups // blocks.splits)
        return each, -(-planes.groups // each)
    each = -(-planes.plane // (blocks.splits * blocks.bytes)) * blocks.bytes
    return each, -(-planes.plane // each)


def candidates(planes: Planes, tokens: int, processors: int) -> list[Blocks]:
    """Cuts worth timing: the default and its neighbours in rows, bytes, splits and stages."""
    base = default_blocks(planes, tokens, processors)
    found = [base]
    for rows in sorted({32, 64, 128, base.rows}):
        for size in sorted({max(32, base.bytes // 2), base.bytes, 2 * base.bytes}):
            for splits in sorted({max(1, base.splits // 2), base.splits, 2 * base.splits}):
                found.append(replace(base, rows=rows, bytes=size, splits=splits, warps=8 if rows == 128 else 4))
    found.extend(replace(base, stages=stages) for stages in (2, 3, 5) if stages != base.stages)
    return list(dict.fromkeys(found))


def fastest(blocks: Sequence[Blocks], seconds: Callable[[Blocks], float]) -> Blocks:
    """The candidate that takes least time; one that does not fit the GPU's shared memory or registers is passed over."""
    times = {candidate: seconds(candidate) for candidate in blocks}
    return min(times, key=lambda candidate: times[candidate])
