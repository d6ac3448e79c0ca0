"""Other programs that read our exports, and our own forward as they compute it; for tests and tests.bench.export_equality.

llama.cpp quantises activations in blocks of 256 (32 beside Q4_0 weights), we whole tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nanocore.model import ternary_products
from nanocore.model.quantise import TernaryWeight
from nanocore.model.transformer import Transformer
from nanokernels.plain import TokenCodes

WIDE = ("model.d_model=256", "model.d_ff=512", "model.n_heads=4", "model.n_kv_heads=2", "model.context_length=64")


def errors(found: Tensor, expected: Tensor) -> Tensor:
    """Relative error of the logits (..., V) of each token."""
    return ((found.double() - expected.double()).norm(dim=-1) / expected.double().norm(dim=-1)).flatten()


@contextmanager
def stock(path: Path) -> Iterator[Any]:
    """The file in llama.cpp with a float32 cache."""
    llama_cpp = import_module("llama_cpp")
    client = llama_cpp.Llama(
        str(path), n_ctx=256, logits_all=True, type_k=0, type_v=0, flash_attn=False, n_threads=1, verbose=False
    )
    try:
        yield client
    finally:
        client.close()


def stock_logits(client: Any, tokens: list[int]) -> Tensor:
    client.reset()
    client.eval(tokens)
    return torch.from_numpy(np.array(client.scores[: len(tokens)]))


def quantised(x: Tensor) -> Tensor:
    """What ggml makes of activations: Q8_K beside ternary blocks of 256, else Q8_0, whose factors are float16."""
    if x.shape[-1] % 256 == 0:
        blocks = x.float().unflatten(-1, (-1, 256))
        largest = blocks.gather(-1, blocks.abs().argmax(-1, keepdim=True))
        inverse = torch.where(largest == 0, 0.0, -127 / largest)
        codes, factors = (blocks * inverse).round().clamp(max=127), torch.where(largest == 0, 0.0, 1 / inverse)
    else:
        blocks = x.float().unflatten(-1, (-1, 32))
        exact = blocks.abs().amax(-1, keepdim=True) / 127
        codes, factors = (blocks * torch.where(exact == 0, 0.0, 1 / exact)).round(), exact.half().float()
    return (codes.double() * factors.double()).flatten(-2)


@contextmanager
def ggml_activations() -> Iterator[None]:
    """Our forward with ggml's quantiser of activations in place of ours, and exact products."""

    def product(tokens: TokenCodes, matrix: TernaryWeight, dtype: torch.dtype) -> Tensor:
        return (quantised(tokens.codes) @ matrix.dequantise().double().mT).to(dtype)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ternary_products, "token_codes", lambda x: TokenCodes(x, x.new_ones(len(x), 1)))
        patch.setattr(ternary_products, "scaled_product", product)
        yield


@torch.no_grad()
def logits(model: Transformer, tokens: Tensor) -> Tensor:
    return model.logits(model(tokens))
