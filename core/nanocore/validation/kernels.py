"""Check: torch, the packed reference and every native path agree on a shape that fits no block."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nanocore.validation.outcome import Found, expect
from nanokernels import ops, reference
from nanokernels.packing import pack, unpack

ROWS, COLUMNS, TOKENS = 83, 197, 5  # odd: blocks have 64 or 80 rows, and four columns stand in a line
SEED = 11


def kernels() -> Found:
    """Integer sums must be equal to the last bit; after scaling, 1e-5 of the largest value is allowed."""
    codes, tokens = _case()
    expected = torch.from_numpy(tokens.numpy().astype(np.int64) @ codes.numpy().astype(np.int64).T)
    paths, worst = ops.available_paths(), 0.0
    for layout in ("t2", "t5"):
        packed = pack(codes, torch.full((1, 1), 0.037), layout)
        same = torch.equal(unpack(packed)[0], codes)
        expect(same, f"{layout}: other weights after packing", "the weights that were packed")
        for path in paths:
            sums = ops.int_sums(tokens, packed, path=path)[0].cpu().to(torch.int64)
            wrong = int((sums != expected).sum())
            expect(wrong == 0, f"{path}, {layout}: {wrong} of {sums.numel()} sums differ", "every sum exact")
        worst = max(worst, *(_scaled(packed, codes, path) for path in paths))
    return Found(
        f"{len(paths)} paths, 2 layouts, worst scaled error {worst:.1e}",
        f"{ROWS} x {COLUMNS} weights, {TOKENS} tokens: {', '.join(paths)} give the same integer sums",
    )


def _case() -> tuple[Tensor, Tensor]:
    """Codes (ROWS, COLUMNS) of -1, 0, 1 and tokens (TOKENS, COLUMNS) of -127 to 127."""
    generator = torch.Generator().manual_seed(SEED)
    codes = torch.randint(-1, 2, (ROWS, COLUMNS), generator=generator, dtype=torch.int8)
    tokens = torch.randint(-127, 128, (TOKENS, COLUMNS), generator=generator, dtype=torch.int8)
    return codes, tokens


def _scaled(packed: ops.PackedTernary, codes: Tensor, path: ops.Path) -> float:
    """Largest relative error of the whole product against float64 arithmetic on the same quantised tokens."""
    x = torch.randn((TOKENS, COLUMNS), generator=torch.Generator().manual_seed(SEED + 1))
    quantised, scale = reference.quantise_tokens(x.numpy())
    exact = (quantised * scale.astype(np.float64)) @ codes.numpy().astype(np.float64).T * float(packed.scale[0, 0])
    found = ops.ternary_linear(x, packed, path=path).numpy().astype(np.float64)
    error = float(np.abs(found - exact).max() / np.abs(exact).max())
    expect(error <= 1e-5, f"{path}, {packed.layout}: relative error {error:.1e}", "at most 1e-5")
    return error
