"""Check: torch, the packed reference and every native path agree on shapes that fit no block, and so does training."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nanocore.model.ternary_products import plain_products
from nanocore.validation.compare import error
from nanocore.validation.outcome import Found, expect, within
from nanocore.validation.workshop import Workshop
from nanokernels import native, ops, reference, training
from nanokernels.packing import PackedTernary, pack, unpack
from nanokernels.paths import NATIVE, VECTOR
from nanokernels.reference import Layout

Shape = tuple[int, int, int]  # rows, columns, tokens
SMALL: tuple[Shape, ...] = ((83, 197, 5), (83, 144, 5))  # blocks have 64 or 80 rows, and four columns stand in a line
LARGE: tuple[Shape, ...] = ((1, 7, 1), (81, 1008, 33), (2048, 768, 64), (515, 4096, 17))
LAYOUTS: tuple[Layout, ...] = ("t2", "t5")
TRAINED: Shape = (96, 130, 70)  # tokens enough for the native way of training
SEED = 11


def check(workshop: Workshop) -> Found:
    """Integer sums must be equal to the last bit; after scaling, 1e-5 of the largest value is allowed."""
    shapes, paths, worst = SMALL + LARGE * workshop.full, ops.available_paths(), 0.0
    for shape in shapes:
        codes, tokens = _case(shape)
        for groups in (1, 4) if shape[1] % 16 == 0 else (1,):
            scale = (
                torch.rand((shape[0], groups), generator=_seeded(3)) + 0.01 if groups > 1 else torch.full((1, 1), 0.037)
            )
            packings = [_packed(codes, scale, layout) for layout in LAYOUTS]
            for packed in packings:
                _sums(packed, codes, tokens, paths)
                worst = max(worst, *(_scaled(packed, codes, path, shape) for path in paths))
    way, absent = _training_products(), _absent()
    return Found(
        f"{len(paths)} paths{', none of them native' * bool(absent)}, {len(LAYOUTS)} layouts, worst scaled error {worst:.1e}",
        f"{absent}{', '.join(paths)} give the same integer sums on {_shown(shapes)}, with one scale and with groups; "
        f"training multiplies {way}",
    )


def _absent() -> str:
    """Which paths did not run for want of the native library, and why; empty where it is there."""
    found = native.find()
    return "" if found.library is not None else f"not run: {', '.join(NATIVE)} ({found.reason}); "


def _shown(shapes: tuple[Shape, ...]) -> str:
    return ", ".join(f"{rows} x {columns} weights and {tokens} tokens" for rows, columns, tokens in shapes)


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _case(shape: Shape) -> tuple[Tensor, Tensor]:
    """Codes (rows, columns) of -1, 0, 1 and tokens (tokens, columns) of -127 to 127."""
    rows, columns, count = shape
    generator = _seeded(SEED)
    codes = torch.randint(-1, 2, (rows, columns), generator=generator, dtype=torch.int8)
    return codes, torch.randint(-127, 128, (count, columns), generator=generator, dtype=torch.int8)


def _packed(codes: Tensor, scale: Tensor, layout: Layout) -> PackedTernary:
    packed = pack(codes, scale, layout)
    held = unpack(packed)
    same = torch.equal(held[0], codes) and torch.equal(held[1], scale)
    expect(same, f"{layout}: other weights after packing", "the weights that were packed")
    return packed


def _sums(packed: PackedTernary, codes: Tensor, tokens: Tensor, paths: list[ops.Path]) -> None:
    parts = zip(tokens.long().chunk(packed.groups, 1), codes.long().chunk(packed.groups, 1), strict=True)
    expected = torch.stack([left @ right.mT for left, right in parts])  # (groups, tokens, rows)
    for path in paths:
        sums = ops.int_sums(tokens, packed, path=path).cpu().long()
        wrong = int((sums != expected).sum())
        expect(wrong == 0, f"{path}, {packed.layout}: {wrong} of {sums.numel()} sums differ", "every sum exact")


def _scaled(packed: PackedTernary, codes: Tensor, path: ops.Path, shape: Shape) -> float:
    """Largest relative error of the whole product against float64 arithmetic on the same quantised tokens."""
    x = torch.randn((shape[2], shape[1]), generator=_seeded(SEED + 1))
    quantised, scale = reference.quantise_tokens(x.numpy())
    tokens = torch.from_numpy(quantised * scale.astype(np.float64))
    width = shape[1] // packed.groups
    weights = codes.double() * packed.scale.mT.double().repeat_interleave(width, 1)
    found = ops.ternary_linear(x, packed, path=path)
    return within(f"{path}, {packed.layout}: relative error", error(found, tokens @ weights.mT), 1e-5)


def _training_products() -> str:
    """The native products of training must be torch's, bit for bit; which way is taken here."""
    rows, columns, count = TRAINED
    codes, _ = _case(TRAINED)
    x, matrix = torch.randn((count, columns), generator=_seeded(2)), (codes, torch.full((1, 1), 0.037))
    if not any(path in VECTOR for path in ops.available_paths()):
        return "with torch"
    ours, plain = training.products(x, [matrix]), plain_products(x, [matrix], torch.float32)
    same = torch.equal(ours[0], plain[0]) and torch.equal(ours[1], plain[1])
    expect(same, "training's native quantiser gives other codes than torch", "the same codes and scales")
    wrong = int((ours[2][0] != plain[2][0]).sum())
    expect(wrong == 0, f"training: {wrong} of {rows * count} native products are not torch's", "the same bits")
    return "with the same bits natively and in torch"
