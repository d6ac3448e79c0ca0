"""Causal self-attention with rotary positions (arXiv 2104.09864) and grouped key-value heads (GQA, arXiv 2305.13245).

Queries and keys may be normalised (QK-norm, arXiv 2010.04245), and the input of the output projection (SubLN, arXiv
2210.06423).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nanocore.config.schema import Config
from nanocore.model.bitlinear import make_linear, project
from nanocore.model.cache import Cache
from nanocore.model.kept_rows import KeptRows, attend
from nanocore.model.norm import RMSNorm
from nanocore.model.rotary import Rotation, rotate


@dataclass(frozen=True)
class Context:
    """What all layers of one forward share.

    `mask` is True where a token (rows) sees another (columns), (T, S) or (B, 1, T, S); None is causal, or for a single
    new token everything. `cache` holds earlier tokens, when text is generated. `documents` (B, T) number the documents
    in a row, in one piece each; None is one.
    """

    rotation: Rotation
    mask: Tensor | None
    cache: Cache | None
    documents: Tensor | None = None


class Attention(nn.Module):
    """Query head h reads key-value head h // (n_heads / n_kv_heads) (GQA, arXiv 2305.13245)."""

    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        model, width = config.model, config.head_dim
        self.layer, self.head_dim = layer, width
        self.kept_rows: KeptRows | None = None
        self.query = make_linear(config, model.d_model, model.n_heads * width)
        self.key = make_linear(config, model.d_model, model.n_kv_heads * width)
        self.value = make_linear(config, model.d_model, model.n_kv_heads * width)
        self.output = make_linear(config, model.n_heads * width, model.d_model)
        self.query_norm = RMSNorm(width, model.norm_eps) if model.qk_norm else nn.Identity()
        self.key_norm = RMSNorm(width, model.norm_eps) if model.qk_norm else nn.Identity()
        self.sub_norm = RMSNorm(model.n_heads * width, model.norm_eps) if model.sub_norm else nn.Identity()

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(B, T, C) to (B, T, C)."""
        parts = project(x, (self.query, self.key, self.value))
        query, key, value = (part.unflatten(-1, (-1, self.head_dim)) for part in parts)  # (B, T, heads, head_dim)
        query = rotate(self.query_norm(query), context.rotation).transpose(1, 2)
        key = rotate(self.key_norm(key), context.rotation).transpose(1, 2)
        mixed = self._attend(query, key, value.transpose(1, 2), context)  # (B, n_heads, T, head_dim)
        return self.output(self.sub_norm(mixed.transpose(1, 2).flatten(2)))

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, context: Context) -> Tensor:
        causal = context.mask is None and query.shape[2] > 1
        if context.cache is not None:
            key, value = context.cache.append(self.layer, key, value)
        if self.kept_rows is not None and torch.is_grad_enabled():
            return attend(query, key, value, context.mask, self.kept_rows)
        grouped = query.shape[1] != key.shape[1]
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=context.mask, is_causal=causal, enable_gqa=grouped
        )
