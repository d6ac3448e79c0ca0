"""How kernels and quantisers break."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.validation.breakages.breakage import Patch, caught_by


@caught_by("environment", "the likely fastest")
def a_slow_path_is_taken(patch: Patch) -> None:
    from nanokernels import ops

    patch.setattr(ops, "active_path", lambda *_: ops.available_paths()[-1])


@caught_by("kernels", "torch, t2: 5 of 415 sums differ")
def a_flipped_sign_in_a_kernel(patch: Patch) -> None:
    from nanokernels import plain

    right = plain.group_sums

    def wrong(*parts: Any) -> list[Tensor]:
        return [sums.clone().index_copy_(1, torch.tensor([82]), -sums[:, 82:]) for sums in right(*parts)]

    patch.setattr(plain, "group_sums", wrong)


@caught_by("kernels", "reference, t2: relative error")
def a_weight_scale_that_is_not_applied(patch: Patch) -> None:
    from nanokernels import reference

    patch.setattr(reference, "scaled", lambda sums, weight, token: sums.sum(0).astype(np.float32) * token)


@caught_by("kernels", "other weights after packing")
def a_packing_that_loses_the_last_row(patch: Patch) -> None:
    from nanokernels import packing

    right = packing.PackedTernary
    patch.setattr(packing, "PackedTernary", lambda layout, rows, *rest: right(layout, rows - 1, *rest))


@caught_by("quantisers", "codes differ")
def a_threshold_that_is_too_high(patch: Patch) -> None:
    from nanocore.model import quantise

    right = quantise.weight_codes
    patch.setattr(quantise, "weight_codes", lambda weight, scale: right(weight, scale * 1.2))


@caught_by("quantisers", "weight gradient")
def a_straight_through_gradient_that_is_dropped(patch: Patch) -> None:
    from nanocore.model import ternary_products

    right = ternary_products._weight_gradient
    patch.setattr(ternary_products, "_weight_gradient", lambda *parts: torch.zeros_like(right(*parts)))


@caught_by("quantisers", "output")
def tokens_of_seven_bits(patch: Patch) -> None:
    from nanocore.model import ternary_products

    right = ternary_products.token_codes

    def wrong(x: Tensor) -> Any:
        tokens = right(x)
        return tokens._replace(codes=(tokens.codes / 2).round() * 2)

    patch.setattr(ternary_products, "token_codes", wrong)
