"""One block of the decoder: attention or DeltaNet, then feed-forward, each inside its residual connection."""

from __future__ import annotations

from torch import Tensor, nn

from nanocore.config.layers import is_delta, mixes_streams
from nanocore.config.schema import Config
from nanocore.model.attention import Attention, Context
from nanocore.model.delta_net import DeltaNet
from nanocore.model.experts import make_feed_forward
from nanocore.model.hyper_connections import HyperConnection
from nanocore.model.norm import RMSNorm
from nanocore.model.recompute import recomputed


class Block(nn.Module):
    """Pre-norm block number `layer`."""

    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        model = config.model
        self.attention_norm = RMSNorm(model.d_model, model.norm_eps)
        self.attention = DeltaNet(config, layer) if is_delta(config, layer) else Attention(config, layer)
        self.attention_connection = _connection(config, 2 * layer)
        self.feed_forward_norm = RMSNorm(model.d_model, model.norm_eps)
        self.feed_forward = make_feed_forward(config, layer)
        self.feed_forward_connection = _connection(config, 2 * layer + 1)
        self.recompute_feed_forward = config.training.activation_checkpointing == "selective"

    def forward(self, streams: Tensor, context: Context) -> Tensor:
        """Residual streams (B, T, n, C) to the same."""
        streams = self.attention_connection(streams, lambda x: self.attention(self.attention_norm(x), context))
        return self.feed_forward_connection(streams, self._transform)

    def _transform(self, x: Tensor) -> Tensor:
        normed = self.feed_forward_norm(x)
        return recomputed(self.feed_forward, normed) if self.recompute_feed_forward else self.feed_forward(normed)


def _connection(config: Config, index: int) -> HyperConnection:
    mhc, model = config.mhc, config.model
    count = 2 * model.n_layers
    return HyperConnection(
        mhc.streams,
        model.d_model,
        index,
        count,
        dynamic=mhc.dynamic,
        kind=mhc.kind,
        init=mhc.init,
        mixes=mixes_streams(config, index),
    )
