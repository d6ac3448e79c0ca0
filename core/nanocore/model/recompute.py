"""Activation checkpointing: a part's inner tensors are not kept for backward but computed again (arXiv 1604.06174)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def recomputed(part: Callable[..., Tensor], *inputs: Any) -> Tensor:
    """part(*inputs), whose inner tensors are freed until backward. Nothing inside draws random numbers."""
    if not torch.is_grad_enabled():
        return part(*inputs)
    result = checkpoint(part, *inputs, use_reentrant=False, preserve_rng_state=False)
    assert isinstance(result, Tensor)
    return result
