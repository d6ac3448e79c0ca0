"""Products of tokens with a ternary matrix: every path and layout, beside torch's own and the limits of the machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nanocore.bench import ggml, peers
from nanocore.bench.limits import AHEAD, multiplier, natives, reader, unpacker
from nanocore.bench.matrices import LAYOUTS, Matrices, Tokens
from nanocore.bench.race import Contestant, Effort, Rate, race
from nanocore.bench.sides import absent
from nanokernels import probe
from nanokernels.packing import Layout
from nanokernels.paths import NativePath
from nanokernels.reference import FIELDS

SHAPES = ((2048, 2048), (4096, 4096), (4096, 11008))  # rows x columns
QUICK_SHAPES = ((512, 1024), (1024, 1024))
TOKENS = {"gemv": (1,), "gemm": (8, 48, 256)}
COLD_UP_TO = 8  # tokens; with more, a weight is used so often that its way from memory does not show


@dataclass(frozen=True)
class Case:
    """What the contestants of one race do: `cold` takes another copy each time, which no cache holds any more."""

    rows: int
    columns: int
    tokens: int
    cold: bool
    threads: int

    @property
    def operations(self) -> int:
        return 2 * self.rows * self.columns * self.tokens

    @property
    def words(self) -> str:
        data, many = "cold" if self.cold else "hot", "s" if self.threads > 1 else ""
        return f"{self.rows} x {self.columns}, tokens {self.tokens}, {data}, {self.threads} thread{many}"


class Name(NamedTuple):
    """A contestant: `kind` is ours, peer, read, dot or unpack."""

    kind: str
    path: str
    weights: str


def cases(part: str, shape: tuple[int, int], threads: int) -> list[Case]:
    """The races of `gemv` or `gemm` with matrices of one shape."""
    counts = TOKENS[part]
    return [
        Case(*shape, count, cold, threads) for count in counts for cold in (False, True)[: 1 + (count <= COLD_UP_TO)]
    ]


def products(case: Case, matrices: Matrices, effort: Effort) -> dict[str, Any]:
    """The rates of all contestants in 10^9 operations a second. Raises NanoError when one computes wrong numbers."""
    rates = race(_contestants(case, matrices), threads=case.threads, effort=effort)
    dots = {name.path: rate.median for name, rate in rates.items() if name.kind == "dot"}
    unpacked = {f"{name.path} {name.weights}": rate.median for name, rate in rates.items() if name.kind == "unpack"}
    reads = {layout: _readable(case, layout, rates) for layout in LAYOUTS if matrices.packed}
    limits = {"memory": reads, "arithmetic": dots, "unpacking": unpacked}
    float32 = rates[Name("peer", "linear", "float32")].median
    rows = [
        _row(name, rate, dots.get(name.path), reads.get(name.weights)) | {"against_float32": rate.median / float32}
        for name, rate in rates.items()
        if name.kind in ("ours", "peer")
    ]
    return {
        "rows": case.rows,
        "columns": case.columns,
        "tokens": case.tokens,
        "data": "cold" if case.cold else "hot",
        "threads": case.threads,
        "limits": {name: _in_billions(each) for name, each in limits.items()},
        "results": [_rounded(row) for row in rows],
    }


def _readable(case: Case, layout: Layout, rates: dict[Name, Rate]) -> float:
    """Operations a second if weights were only read: two for each weight and token."""
    fastest = max(rate.median for name, rate in rates.items() if name.kind == "read" and name.weights == layout)
    return fastest * 2 * FIELDS[layout] * case.tokens


def _row(name: Name, rate: Rate, dot: float | None, read: float | None) -> dict[str, Any]:
    row: dict[str, Any] = {"path": name.path, "weights": name.weights, "ours": name.kind == "ours"}
    row |= {
        "gops": rate.median / 1e9,
        "least": rate.least / 1e9,
        "largest": rate.largest / 1e9,
        "samples": rate.samples,
    }
    if dot is None or read is None:
        return row | {"limit": None, "bound": None, "share": None}
    bound = "memory" if read < dot else "arithmetic"
    return row | {"limit": min(read, dot) / 1e9, "bound": bound, "share": rate.median / min(read, dot)}


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}


def _in_billions(rates: dict[Any, float]) -> dict[str, float]:
    return {key: round(rate / 1e9, 1) for key, rate in rates.items()}


def _contestants(case: Case, matrices: Matrices) -> dict[Name, Contestant]:
    tokens, keep = Tokens(matrices, case.tokens), slice(None if case.cold else 1)
    found: dict[Name, Contestant] = {}
    for layout, copies in matrices.packed.items():
        for ahead in AHEAD:
            found[Name("read", f"ahead {ahead}", layout)] = reader(copies[keep], case.threads, ahead)
    for path in natives():
        found[Name("dot", path, "")] = multiplier(path, case.threads)
        for layout in LAYOUTS if case.threads == 1 else ():  # with more, so small a product is mostly waiting
            found[Name("unpack", path, layout)] = unpacker(path, layout, case.tokens)
    for path, layout, contestant in _ours(case, matrices, tokens):
        found[Name("ours", path, layout)] = contestant
    found[Name("ours", "torch", "int8")] = peers.without_kernels(tokens, matrices, case.operations, keep)
    for path, weights, contestant in peers.peers(tokens, matrices, case.operations, keep):
        found[Name("peer", path, weights)] = contestant
    if ggml.usable(case.columns) and not absent():
        theirs = ggml.contestant(tokens, matrices, case.operations, cold=case.cold, threads=case.threads)
        found[Name("peer", "llama.cpp", "tq2_0")] = theirs
    return found


def _ours(case: Case, matrices: Matrices, tokens: Tokens) -> Iterator[tuple[NativePath, Layout, Contestant]]:
    for path in natives():
        for layout, copies in matrices.packed.items():
            rotation = probe.Rotation(copies if case.cold else copies[:1])
            y = torch.empty(case.tokens, case.rows)
            run = partial(_multiply, rotation, path, case.threads, probe.quantised(tokens.x, path), y, tokens.x)
            check = partial(tokens.check, y, tokens.y, f"{path} {layout}")
            yield path, layout, Contestant(run, case.operations, check)


def _multiply(
    rotation: probe.Rotation, path: NativePath, threads: int, codes: probe.TokenCodes, y: Tensor, x: Tensor, visits: int
) -> None:
    """One token is quantised beforehand, of several the quantiser is a part of the product."""
    probe.multiply(rotation, visits, path, threads, codes, y, x if len(x) > 1 else None)
