"""The decoder: embedding, blocks on residual streams, final norm, head."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nanocore.config.schema import Config
from nanocore.model.attention import Context
from nanocore.model.bitlinear import FloatLinear
from nanocore.model.block import Block
from nanocore.model.cache import Cache
from nanocore.model.hyper_connections import collapse, expand
from nanocore.model.initialise import initialise
from nanocore.model.kept_rows import share_kept_rows
from nanocore.model.loop import ExitGate, Exits, Leaving
from nanocore.model.norm import RMSNorm
from nanocore.model.prediction_heads import PredictionHeads
from nanocore.model.recompute import recomputed
from nanocore.model.roles import Role, role_of
from nanocore.model.rotary import RotaryTable


class Transformer(nn.Module):
    """A decoder over `vocab_size` tokens, built as `config.model` and `config.mhc` say.

    Its weights are whatever was in memory until `initialise` is called or a checkpoint is loaded.
    """

    def __init__(self, config: Config, vocab_size: int) -> None:
        super().__init__()
        model = config.model
        self.config, self.vocab_size = config, vocab_size
        self.embedding = nn.Embedding(vocab_size, model.d_model, _weight=torch.empty(vocab_size, model.d_model))
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(model.n_layers))
        self.norm = RMSNorm(model.d_model, model.norm_eps)
        self.head = None if model.tie_embeddings else FloatLinear(model.d_model, vocab_size)
        self.rotary = RotaryTable(config.head_dim, model.context_length, model.rope_theta)
        self.exit_gate = ExitGate(model.d_model, model.norm_eps) if config.loop.count > 1 else None
        self.prediction_heads = PredictionHeads(config) if config.mtp.horizon else None
        if config.loop.stage == "gate":
            self.requires_grad_(False)
            assert self.exit_gate is not None
            self.exit_gate.requires_grad_()
        self.kept_rows = share_kept_rows(self.blocks, self.prediction_heads) if config.collider.mode == "full" else None

    def initialise(self, seed: int) -> None:
        """Set every parameter, the same for the same seed whatever the device and the global generator."""
        initialise(self, self.config, self.vocab_size, seed)

    def roles(self) -> dict[str, Role]:
        """What each parameter is, by name; the optimizer's groups follow it."""
        return {name: role_of(name) for name, _ in self.named_parameters()}

    def new_cache(self, batch: int, length: int) -> Cache:
        """Room for `length` tokens of `batch` sequences, at most the context length."""
        return Cache(batch, min(length, self.config.model.context_length))

    @property
    def head_weight(self) -> Tensor:
        """The output head (V, C), kept in high precision; the embedding itself when tied."""
        return self.embedding.weight if self.head is None else self.head.weight

    def forward(
        self,
        tokens: Tensor,
        *,
        positions: Tensor | None = None,
        documents: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Hidden states (B, T, C) after the final norm, for tokens (B, T).

        Tokens attend to themselves and to earlier tokens of the same document. `positions` (B, T) turn queries and
        keys, default 0..T-1, or after what `cache` holds; `documents` (B, T) number the documents in a row, default
        one. With a cache the tokens continue what it holds, and join it.
        """
        if cache is not None and documents is not None:
            raise ValueError("a cache holds one document; it takes no document numbers")
        context = self.context(tokens, positions, documents, cache)
        streams = self._before(tokens, context)
        loop = self.config.loop
        leaving = Leaving(loop.exit_threshold) if cache is not None and loop.exit_threshold < 1.0 else None
        for turn in range(loop.count):
            if cache is not None:
                cache.enter(turn, leaving.gone if leaving else None)
            streams = self._turn(streams, context, leaving)
            if self._all_gone(leaving, streams) and cache is not None:
                looped = range(loop.before, len(self.blocks) - loop.after)
                cache.repeat(turn, loop.count, looped, tokens.shape[1])
                break
        hidden = self._after(streams, context)
        if cache is not None:
            cache.advance(tokens.shape[1])
        return hidden

    def exits(self, tokens: Tensor, *, positions: Tensor | None = None, documents: Tensor | None = None) -> Exits:
        """Hidden states and gates of every turn of the loop, which training weighs against each other."""
        context = self.context(tokens, positions, documents, None)
        streams = self._before(tokens, context)
        hidden, gates = [], []
        assert self.exit_gate is not None
        for _ in range(self.config.loop.count):
            streams = self._turn(streams, context, None)
            hidden.append(self._after(streams, context))
            gates.append(self.exit_gate(collapse(streams)))
        return Exits(torch.stack(hidden), torch.stack(gates))

    def _before(self, tokens: Tensor, context: Context) -> Tensor:
        """Residual streams (B, T, n, C) of the tokens, through the blocks before the looped ones."""
        if context.cache is not None:
            context.cache.enter(0)
        streams = expand(self.embedding(tokens), self.config.mhc.streams)
        return self._run(self.blocks[: self.config.loop.before], streams, context)

    def _turn(self, streams: Tensor, context: Context, leaving: Leaving | None) -> Tensor:
        """Through the looped blocks once: all blocks, once, in a plain decoder."""
        loop = self.config.loop
        after = self._run(self.blocks[loop.before : len(self.blocks) - loop.after], streams, context)
        return after if leaving is None else leaving.settle(streams, after)

    def _all_gone(self, leaving: Leaving | None, streams: Tensor) -> bool:
        return leaving is not None and self.exit_gate is not None and leaving.decide(self.exit_gate(collapse(streams)))

    def _after(self, streams: Tensor, context: Context) -> Tensor:
        """Through the blocks after the looped ones and the final norm: (B, T, C)."""
        if context.cache is not None:
            context.cache.enter(0)
        streams = self._run(self.blocks[len(self.blocks) - self.config.loop.after :], streams, context)
        return self.norm(collapse(streams))

    def _run(self, blocks: Iterable[nn.Module], streams: Tensor, context: Context) -> Tensor:
        whole = self.config.training.activation_checkpointing == "full"
        for block in blocks:
            streams = recomputed(block, streams, context) if whole else block(streams, context)
        return streams

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits (..., V) of hidden states (..., C), in float32 (float64 for a float64 model)."""
        with torch.autocast(hidden.device.type, enabled=False):
            dtype = torch.promote_types(hidden.dtype, torch.float32)
            return F.linear(hidden.to(dtype), self.head_weight.to(dtype))

    def context(
        self, tokens: Tensor, positions: Tensor | None, documents: Tensor | None, cache: Cache | None = None
    ) -> Context:
        """What all layers share, for tokens (B, T); see `forward` for the rest."""
        start, length = cache.length if cache is not None else 0, tokens.shape[1]
        if positions is None:
            positions = torch.arange(start, start + length, device=tokens.device).unsqueeze(0)
        rotation = self.rotary.at(positions, self.embedding.weight.dtype, start + length)
        mask = document_mask(documents) if documents is not None else None
        if cache is not None and start:
            mask = cache.mask(length, tokens.device)
        return Context(rotation, mask, cache, documents)


def document_mask(documents: Tensor) -> Tensor:
    """True where a token (rows) sees another (columns): not later, and in its document. (B, T) to (B, 1, T, T)."""
    same = documents.unsqueeze(2) == documents.unsqueeze(1)
    return same.tril_().unsqueeze(1)
