"""Check: FIRE's matrix is the polar factor times sqrt(d_out / d_in), as the singular value decomposition gives it."""

from __future__ import annotations

import math

import torch

from nanocore.optim.fire import reinitialise
from nanocore.validation.compare import error
from nanocore.validation.outcome import Found, expect, within
from nanocore.validation.workshop import Workshop

SHAPES = ((24, 64), (64, 24), (32, 48))
ITERATIONS, TOLERANCE = 60, 1e-4


def check(_: Workshop) -> Found:
    worst, most = 0.0, 0
    for shape in SHAPES:
        weight = torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))) * 0.02
        left, _, right = torch.linalg.svd(weight.double(), full_matrices=False)
        exact = left @ right * math.sqrt(shape[0] / shape[1])
        report = reinitialise(weight, iterations=ITERATIONS, tolerance=TOLERANCE)
        expect(report.converged, f"{shape}: not converged in {report.iterations} iterations", "converged")
        worst = max(worst, within(f"{shape}: error", error(weight, exact), 1e-3))
        within(f"{shape}: deviation from isometry, left of it", report.dfi_after / report.dfi_before, 1e-4)
        most = max(most, report.iterations)
    return Found(
        f"worst error {worst:.1e} in at most {most} iterations", f"{len(SHAPES)} shapes of 0.02 normal weights"
    )
