"""Tensors kept between steps: as floats, or as blockwise codes of 8 or 4 bits with one scale a block.

A block is so many consecutive values of the flattened tensor, and its scale their largest magnitude (float32). Linear
codes divide the range evenly (8-bit Muon, arXiv 2509.23106); dynamic codes are finer near zero (arXiv 1511.04561,
2110.02861, the map of bitsandbytes). Zero state is zero in every slot, whatever the form.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

import torch
from torch import Tensor

Form = Literal["int8", "int8-dynamic", "int4"]
State = dict[str, Tensor]
LARGEST = {"int8": 127, "int4": 7}  # linear codes are symmetric: -largest to largest
_STREAMS = 0x9E3779B1  # odd: tensors draw from streams far apart


@lru_cache(maxsize=8)
def dynamic_map(device: torch.device) -> Tensor:
    """The 256 ascending values of the signed dynamic code: float32, from -0.993 to 1, with 0.

    Decade i - 6 (i = 0 to 6) of magnitudes is cut into 2^i equal parts, of which the middles are the values.
    """
    values = [0.0, 1.0]
    for i in range(7):
        borders = torch.linspace(0.1, 1.0, 2**i + 1)
        middles = 10 ** (i - 6) * ((borders[:-1] + borders[1:]) / 2)
        values += torch.cat([middles, -middles]).tolist()
    return torch.tensor(sorted(values), dtype=torch.float32, device=device)


def quantise(values: Tensor, form: Form, block: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Codes (int8 or uint8: one for each value; int4: two a byte, flat) and scales (blocks,), computed in float32.

    Rounds to the nearest code, or with a generator to one of the two around it, right on average.
    """
    count = values.numel()
    blocks = _blocks(values.float(), block)
    scales = blocks.abs().amax(dim=1)
    unit = (blocks / torch.where(scales > 0.0, scales, 1.0)[:, None]).flatten()[:count]
    if form == "int8-dynamic":
        return _dynamic_codes(unit, generator).view(values.shape), scales
    codes = _linear_codes(unit * LARGEST[form], generator)
    return (_pack(codes) if form == "int4" else codes.view(values.shape)), scales


def dequantise(codes: Tensor, scales: Tensor, form: Form, block: int, shape: Sequence[int]) -> Tensor:
    """The float32 values (shape) of `quantise`."""
    count = math.prod(shape)
    if form == "int8-dynamic":
        unit = dynamic_map(codes.device).index_select(0, codes.flatten().int())
        return (_blocks(unit, block) * scales[:, None]).flatten()[:count].view(shape)
    flat = _unpack(codes, count) if form == "int4" else codes.flatten()
    return (_blocks(flat.float(), block) * (scales / LARGEST[form])[:, None]).flatten()[:count].view(shape)


def _blocks(values: Tensor, block: int) -> Tensor:
    """(blocks, block): the values in order, and zeros after a ragged end."""
    missing = -values.numel() % block
    flat = values.reshape(-1)
    return (torch.nn.functional.pad(flat, (0, missing)) if missing else flat).view(-1, block)


def _linear_codes(scaled: Tensor, generator: torch.Generator | None) -> Tensor:
    if generator is None:
        return scaled.round().to(torch.int8)
    below = scaled.floor()
    return (below + (_uniform(scaled, generator) < scaled - below)).to(torch.int8)


def _dynamic_codes(unit: Tensor, generator: torch.Generator | None) -> Tensor:
    table = dynamic_map(unit.device)
    if generator is None:
        return torch.bucketize(unit, (table[:-1] + table[1:]) / 2, out_int32=True).to(torch.uint8)
    below = (torch.bucketize(unit, table, right=True, out_int32=True) - 1).clamp_(0, 254)
    low, high = table.index_select(0, below), table.index_select(0, below + 1)
    return (below + (_uniform(unit, generator) < (unit - low) / (high - low))).to(torch.uint8)


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, device=like.device)


def _pack(codes: Tensor) -> Tensor:
    """Two 4-bit codes a byte, in two's complement, the first one low; an odd end is filled with 0."""
    pairs = _blocks(codes, 2).to(torch.uint8).bitwise_and_(15)
    return pairs[:, 0] | (pairs[:, 1] << 4)


def _unpack(packed: Tensor, count: int) -> Tensor:
    nibbles = torch.stack([packed & 15, packed >> 4], dim=1).flatten()[:count].to(torch.int8)
    return (nibbles ^ 8) - 8


class Store(Protocol):
    """How one tensor is kept between steps. `read` may hand out the live tensor, and `write` may get it back."""

    def slots(self, like: Tensor) -> State:
        """Zero state, on the device (and, for floats, in the dtype) of `like`."""
        ...

    def read(self, state: State, dtype: torch.dtype) -> Tensor: ...

    def write(self, state: State, values: Tensor) -> None: ...


@dataclass(frozen=True)
class Floats:
    """The tensor itself, in one slot."""

    slot: str
    shape: tuple[int, ...]

    def slots(self, like: Tensor) -> State:
        return {self.slot: torch.zeros(self.shape, dtype=like.dtype, device=like.device)}

    def read(self, state: State, dtype: torch.dtype) -> Tensor:
        return state[self.slot].to(dtype)

    def write(self, state: State, values: Tensor) -> None:
        if values is not state[self.slot]:
            state[self.slot].copy_(values)


@dataclass(frozen=True)
class Codes:
    """Codes and scales, as `<name>_codes` and `<name>_scales`.

    With a `seed`, rounding is stochastic: write number c draws from a generator seeded by (seed, c). The number is part
    of the state, `<name>_writes`, so that a resumed run and every process of a group draw the same.
    """

    name: str
    shape: tuple[int, ...]
    form: Form
    block: int
    seed: int | None = None

    def slots(self, like: Tensor) -> State:
        count = math.prod(self.shape)
        layout = (-(-count // 2),) if self.form == "int4" else self.shape
        dtype = torch.int8 if self.form == "int8" else torch.uint8
        state = {
            f"{self.name}_codes": torch.zeros(layout, dtype=dtype, device=like.device),
            f"{self.name}_scales": torch.zeros(-(-count // self.block), dtype=torch.float32, device=like.device),
        }
        # On the CPU, where reading it waits for no device.
        writes = {} if self.seed is None else {f"{self.name}_writes": torch.zeros((), dtype=torch.int64, device="cpu")}
        return state | writes

    def read(self, state: State, dtype: torch.dtype) -> Tensor:
        codes, scales = state[f"{self.name}_codes"], state[f"{self.name}_scales"]
        return dequantise(codes, scales, self.form, self.block, self.shape).to(dtype)

    def write(self, state: State, values: Tensor) -> None:
        codes, scales = quantise(values, self.form, self.block, self._generator(state))
        state[f"{self.name}_codes"].copy_(codes)
        state[f"{self.name}_scales"].copy_(scales)

    def _generator(self, state: State) -> torch.Generator | None:
        if self.seed is None:
            return None
        writes = state[f"{self.name}_writes"]
        seed = self.seed * _STREAMS + int(writes)
        writes += 1
        return torch.Generator(state[f"{self.name}_codes"].device).manual_seed(seed % 2**63)
