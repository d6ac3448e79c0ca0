"""One block of the decoder: attention, then feed-forward, each inside its residual connection."""

from __future__ import annotations

from torch import Tensor, nn

from nanocore.config.schema import Config
from nanocore.model.attention import Attention, Context
from nanocore.model.feed_forward import FeedForward
from nanocore.model.hyper_connections import HyperConnection
from nanocore.model.norm import RMSNorm


class Block(nn.Module):
    """Pre-norm block number `layer`."""

    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        model = config.model
        self.attention_norm = RMSNorm(model.d_model, model.norm_eps)
        self.attention = Attention(config, layer)
        self.attention_connection = _connection(config, 2 * layer)
        self.feed_forward_norm = RMSNorm(model.d_model, model.norm_eps)
        self.feed_forward = FeedForward(config)
        self.feed_forward_connection = _connection(config, 2 * layer + 1)

    def forward(self, streams: Tensor, context: Context) -> Tensor:
        """Residual streams (B, T, n, C) to the same."""
        streams = self.attention_connection(streams, lambda x: self.attention(self.attention_norm(x), context))
        return self.feed_forward_connection(streams, lambda x: self.feed_forward(self.feed_forward_norm(x)))


def _connection(config: Config, index: int) -> HyperConnection:
    mhc, model = config.mhc, config.model
    return HyperConnection(mhc.streams, model.d_model, index, 2 * model.n_layers, dynamic=mhc.dynamic)
