"""A decoder as anybody writes it in torch, in float and with nothing of this project: what `bench train` measures against.

Pre-norm blocks of rotary causal attention and SwiGLU, tied embedding, AdamW: widths, heads and depth of a configuration.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from nanocore.config.schema import Config


class PlainModel(nn.Module):
    """(B, T) tokens and targets to the mean cross-entropy; targets of -1 do not count."""

    def __init__(self, config: Config, words: int) -> None:
        super().__init__()
        model = config.model
        self.embedding = nn.Embedding(words, model.d_model)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(model.n_layers))
        self.norm = nn.RMSNorm(model.d_model)
        half = config.head_dim // 2
        frequencies = model.rope_theta ** (-torch.arange(half) / half)
        angles = torch.outer(torch.arange(model.context_length), frequencies)
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)
        nn.init.normal_(self.embedding.weight, std=0.02)

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, self.cosine, self.sine)
        logits = functional.linear(self.norm(x), self.embedding.weight)  # (B, T, V)
        return functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=-1)


class _Block(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        model, width = config.model, config.head_dim
        self.heads, self.kv_heads, self.width = model.n_heads, model.n_kv_heads, width
        self.before_attention, self.before_feed_forward = nn.RMSNorm(model.d_model), nn.RMSNorm(model.d_model)
        self.qkv = nn.Linear(model.d_model, (model.n_heads + 2 * model.n_kv_heads) * width, bias=False)
        self.out = nn.Linear(model.n_heads * width, model.d_model, bias=False)
        self.gate = nn.Linear(model.d_model, model.d_ff, bias=False) if model.activation == "swiglu" else None
        self.up = nn.Linear(model.d_model, model.d_ff, bias=False)
        self.down = nn.Linear(model.d_ff, model.d_model, bias=False)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        x = x + self._attention(self.before_attention(x), cosine, sine)
        inner = self.before_feed_forward(x)
        if self.gate is None:
            return x + self.down(functional.relu(self.up(inner)).square())
        return x + self.down(functional.silu(self.gate(inner)) * self.up(inner))

    def _attention(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        rows, length, _ = x.shape
        sizes = [self.heads * self.width, self.kv_heads * self.width, self.kv_heads * self.width]
        q, k, v = (part.view(rows, length, -1, self.width).transpose(1, 2) for part in self.qkv(x).split(sizes, -1))
        q, k = _rotated(q, cosine[:length], sine[:length]), _rotated(k, cosine[:length], sine[:length])
        shared = self.heads != self.kv_heads
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=shared)  # (B, H, T, D)
        return self.out(y.transpose(1, 2).flatten(2))


def _rotated(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return torch.cat((first * cosine - second * sine, first * sine + second * cosine), -1)
