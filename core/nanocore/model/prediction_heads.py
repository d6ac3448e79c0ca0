"""Multi-token prediction: hidden states for tokens after the next one, read by the shared unembedding.

`independent` (after Gloeckle et al., arXiv 2404.19737, with one matrix in place of their layer): head k is
    h_k = RMSNorm(h + W_k h)
`sequential` (DeepSeek-V3, arXiv 2412.19437, section 2.2) keeps the causal chain: module k sees the k-th next token,
    h_k = Block_k(M_k [RMSNorm(h_{k-1}); RMSNorm(Emb(x_{t+k}))]), with h_0 = h.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from nanocore.config.schema import Config
from nanocore.config.techniques import Delta, Mhc, Moe
from nanocore.model.attention import Context
from nanocore.model.bitlinear import make_linear
from nanocore.model.block import Block
from nanocore.model.norm import RMSNorm
from nanocore.model.recompute import recomputed


class IndependentHead(nn.Module):
    """One matrix and a norm on the trunk's last hidden state."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.model.d_model
        self.linear = make_linear(config, width, width)
        self.norm = RMSNorm(width, config.model.norm_eps)

    def forward(self, hidden: Tensor) -> Tensor:
        """(..., C) to (..., C)."""
        return self.norm(hidden + self.linear(hidden))


class SequentialModule(nn.Module):
    """Merges the hidden state before it with a token's embedding, then one plain block (one stream, attention)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, eps = config.model.d_model, config.model.norm_eps
        plain = config.model_copy(update={"mhc": Mhc(), "moe": Moe(), "delta": Delta()})
        self.hidden_norm, self.token_norm = RMSNorm(width, eps), RMSNorm(width, eps)
        self.merge = make_linear(config, 2 * width, width)
        self.block = Block(plain, 0)
        self.norm = RMSNorm(width, eps)
        self.recompute_block = config.training.activation_checkpointing == "full"

    def forward(self, hidden: Tensor, embedded: Tensor, context: Context) -> Tensor:
        """(B, T, C) of the position before and of its next token's embedding, to (B, T, C)."""
        both = torch.cat((self.hidden_norm(hidden), self.token_norm(embedded).to(hidden.dtype)), dim=-1)
        merged = self.merge(both).unsqueeze(-2)  # one stream
        after = recomputed(self.block, merged, context) if self.recompute_block else self.block(merged, context)
        return self.norm(after.squeeze(-2))


class PredictionHeads(nn.Module):
    """All heads of a model, for the tokens 2, 3, ... horizon + 1 places ahead."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.sequential = config.mtp.kind == "sequential"
        kind = SequentialModule if self.sequential else IndependentHead
        self.heads = nn.ModuleList(kind(config) for _ in range(config.mtp.horizon))

    def independent(self, index: int, hidden: Tensor) -> Tensor:
        """Hidden states (B, T, C) of one independent head, from the trunk's."""
        return self.heads[index](hidden)

    def link(self, index: int, tokens: Tensor, embedding: nn.Embedding, context: Context, hidden: Tensor) -> Tensor:
        """Hidden states (B, T, C) of one sequential module, from those before it and the tokens (B, T).

        Where the token it sees lies beyond the row, that is the row's first; it has no target there.
        """
        return self.heads[index](hidden, embedding(tokens.roll(-1 - index, dims=1)), context)

    def chain(self, hidden: Tensor, tokens: Tensor, embedding: nn.Embedding, context: Context) -> Iterator[Tensor]:
        """Hidden states (B, T, C) of each sequential module in turn, from the trunk's and the tokens (B, T)."""
        for index in range(len(self.heads)):
            hidden = self.link(index, tokens, embedding, context, hidden)
            yield hidden
