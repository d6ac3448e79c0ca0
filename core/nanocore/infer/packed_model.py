"""A model as the native decoder reads it: ternary matrices packed once, stream maps made once, the rest as it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nanocore.config.schema import Config
from nanocore.model.attention import Attention
from nanocore.model.bitlinear import BitLinear, TernaryModule
from nanocore.model.block import Block
from nanocore.model.delta_net import DeltaNet
from nanocore.model.experts import Experts
from nanocore.model.feed_forward import FeedForward
from nanocore.model.hyper_connections import HyperConnection
from nanocore.model.norm import RMSNorm
from nanocore.model.quantise import TernaryWeight
from nanocore.model.residual_maps import KINDS
from nanocore.model.rotary import RotaryTable
from nanocore.model.stacked_linear import StackedBitLinear
from nanocore.model.transformer import Transformer
from nanokernels import autotune, decoder, native, ops
from nanokernels.cpu_cache import last_level_cache
from nanokernels.decoder import Number, Tables
from nanokernels.packing import PackedTernary, pack
from nanokernels.reference import Layout


class Unsupported(Exception):
    """Why the native decoder cannot run a model; torch can."""


@dataclass(frozen=True)
class PackedModel:
    """What a `Decoder` needs of a model. Later changes of the model's weights do not reach it."""

    model: decoder.Model
    tables: Tables
    rotary: RotaryTable  # angles of the positions, as many as were read
    context_length: int
    recurrent: bool  # has layers whose state cannot go back to fewer tokens


def unsupported(config: Config) -> str:
    """Why the native decoder cannot run models of this configuration; empty when it can."""
    if config.model.linear == "float":
        return "model.linear is float: there is nothing to pack"
    if config.fp4.format != "off" and config.fp4.forward:
        return "fp4.forward quantises activations in an emulation that only torch has"
    if config.model.group_size % 4:
        return f"model.group_size is {config.model.group_size}: packed groups are multiples of 4 columns"
    return ""


def pack_model(
    model: Transformer, *, layout: Layout | None = None, head: Number | None = None, threads: int = 1
) -> PackedModel:
    """Pack a model whose weights stay as they are; `head` says in which numbers the output head is kept.

    Without it in the narrowest that hold it exactly: reading the head is a good part of a token's time. Without a
    layout it is the faster one here (`fastest_layout`). `threads` is how many will read it.

    Raises Unsupported.
    """
    if reason := unsupported(model.config):
        raise Unsupported(reason)
    return _Packer(model.config, layout or fastest_layout(model), threads).model(model, head)


def fastest_layout(model: Transformer) -> Layout:
    """T2; for weights that no cache holds, whichever of T2 and T5 was measured to stream faster on this machine."""
    shapes = [module.ternary_shape for module in model.modules() if isinstance(module, TernaryModule)]
    streamed = sum(math.prod(shape) for shape in shapes) // 4  # bytes in T2
    if streamed <= last_level_cache():
        return "t2"
    rows, columns = max((shape[-2:] for shape in shapes), key=math.prod)
    return autotune.choose_layout(rows, columns, streamed, ops.linear)


def narrowest(weight: Tensor) -> Number:
    """The shortest numbers that hold every value of a weight: 16 bits for one read from a file that has 16."""
    known = weight.detach().float()
    numbers: tuple[Number, ...] = ("float16", "bfloat16")
    for number in numbers:
        if torch.equal(known.to(getattr(torch, number)).float(), known):
            return number
    return "float32"


class _Packer:
    def __init__(self, config: Config, layout: Layout, threads: int) -> None:
        self.config, self.tables = config, Tables(threads)
        self.layout: Layout = layout

    def model(self, model: Transformer, head: Number | None) -> PackedModel:
        config, shape, loop = self.config, self.config.model, self.config.loop
        tables = self.tables
        described = decoder.Model(
            blocks=tables.array(self._block(block) for block in model.blocks if isinstance(block, Block)),
            embedding=tables.floats(model.embedding.weight),
            norm=self._gain(model.norm),
            head=tables.head(model.head_weight, head or narrowest(model.head_weight)),
            block_count=len(model.blocks),
            width=shape.d_model,
            streams=config.mhc.streams,
            vocabulary=model.vocab_size,
            heads=shape.n_heads,
            kv_heads=shape.n_kv_heads,
            head_dim=config.head_dim,
            turns=loop.count,
            before=loop.before,
            after=loop.after,
            exit_threshold=loop.exit_threshold,
            eps=shape.norm_eps,
        )
        if model.exit_gate is not None:
            described.gate_norm = self._gain(model.exit_gate.norm)
            described.gate = tables.floats(model.exit_gate.weight)
            described.gate_bias = tables.floats(model.exit_gate.bias)
        return PackedModel(described, tables, model.rotary, shape.context_length, "D" in config.delta.pattern)

    def _block(self, block: Block) -> decoder.Block:
        described = decoder.Block(
            mixer_norm=self._gain(block.attention_norm),
            feed_forward_norm=self._gain(block.feed_forward_norm),
            mixer_connection=self._connection(block.attention_connection),
            feed_forward_connection=self._connection(block.feed_forward_connection),
        )
        if isinstance(block.attention, DeltaNet):
            described.delta = self.tables.pointer(self._delta(block.attention))
        else:
            described.attention = self.tables.pointer(self._attention(block.attention))
        if isinstance(block.feed_forward, Experts):
            described.experts = self.tables.pointer(self._experts(block.feed_forward))
        else:
            described.feed_forward = self.tables.pointer(self._feed_forward(block.feed_forward))
        return described

    def _attention(self, layer: Attention) -> decoder.Attention:
        query, key, value = self._matrices(layer.query, layer.key, layer.value)
        return decoder.Attention(
            query=query,
            key=key,
            value=value,
            output=self._matrix(layer.output),
            query_norm=self._gain(layer.query_norm),
            key_norm=self._gain(layer.key_norm),
            sub_norm=self._gain(layer.sub_norm),
        )

    def _delta(self, layer: DeltaNet) -> decoder.Delta:
        tables, taps = self.tables, layer.convolution.width if layer.convolution is not None else 0
        gates = [layer.gate] if layer.gate is not None and layer.decay is not None else []
        query, key, value, *gate = self._matrices(layer.query, layer.key, layer.value, *gates)
        described = decoder.Delta(
            query=query,
            key=key,
            value=value,
            output=self._matrix(layer.output),
            strength=tables.dense(layer.strength.weight),
            head_norm=self._gain(layer.head_norm),
            heads=layer.strength.weight.shape[0],
            head_dim=layer.head_dim,
            taps=taps,
        )
        if gate and layer.decay is not None:
            described.gate = gate[0]
            described.decay = tables.dense(layer.decay.weight)
            described.decay_bias = tables.floats(layer.decay.bias)
            described.rate = tables.floats(layer.decay.log_rate.detach().exp())
        if layer.convolution is not None:
            described.convolution = tables.floats(layer.convolution.weight.mT)
        return described

    def _feed_forward(self, layer: FeedForward) -> decoder.FeedForward:
        described = decoder.FeedForward(
            up=self._matrix(layer.up), down=self._matrix(layer.down), sub_norm=self._gain(layer.sub_norm)
        )
        if layer.gate is not None:
            described.gate = self._matrix(layer.gate)
        return described

    def _experts(self, layer: Experts) -> decoder.Experts:
        router = layer.router
        described = decoder.Experts(
            experts=self.tables.array(self._expert(layer, index) for index in range(router.moe.experts)),
            router=self.tables.dense(router.weight),
            bias=self.tables.floats(router.bias),
            count=router.moe.experts,
            active=router.moe.active,
            normalised=router.normalised,
        )
        if layer.shared is not None:
            described.shared = self.tables.pointer(self._feed_forward(layer.shared))
        return described

    def _expert(self, layer: Experts, index: int) -> decoder.FeedForward:
        described = decoder.FeedForward(sub_norm=self._gain(layer.sub_norm))
        for name, stack in (("gate", layer.gate), ("up", layer.up), ("down", layer.down)):
            if stack is not None:
                assert isinstance(stack, StackedBitLinear)
                codes, scale = stack.ternary()
                packed = self._packed(TernaryWeight(codes[index], scale[index]))
                setattr(described, name, self.tables.matrices(packed)[0])
        return described

    @torch.no_grad()
    def _connection(self, connection: HyperConnection) -> decoder.Connection:
        if connection.pre is None or connection.post is None:
            return decoder.Connection()
        described = decoder.Connection(kind=list(KINDS).index(self.config.mhc.kind), mixes=connection.res is not None)
        if connection.phi is None:
            described.maps = self.tables.floats(self._static_maps(connection))
            return described
        parts = [part.detach() for part in (connection.pre, connection.post, connection.res) if part is not None]
        described.phi = self.tables.dense(connection.phi)
        described.constants = self.tables.floats(torch.cat(parts))
        described.alpha = self.tables.floats(connection.alpha)
        return described

    def _static_maps(self, connection: HyperConnection) -> Tensor:
        """H_pre, H_post and, where streams mix, H_res one behind the other: the same for every token."""
        maps = connection.maps(torch.zeros(1, 1, connection.streams, self.config.model.d_model))
        return torch.cat([part.flatten() for part in (maps.pre, maps.post, maps.res) if part is not None])

    def _matrix(self, linear: nn.Module) -> native.Matrix:
        return self._matrices(linear)[0]

    def _matrices(self, *linears: nn.Module) -> list[native.Matrix]:
        """Of layers that read the same input and are shared out among threads as one matrix."""
        ternary = [linear.ternary() for linear in linears if isinstance(linear, BitLinear)]
        assert len(ternary) == len(linears)
        return self.tables.matrices(*map(self._packed, ternary))

    def _packed(self, weight: TernaryWeight) -> PackedTernary:
        return pack(weight.codes.cpu(), weight.scale.cpu(), self.layout)

    def _gain(self, norm: nn.Module) -> int | None:
        return self.tables.floats(norm.weight) if isinstance(norm, RMSNorm) else None
