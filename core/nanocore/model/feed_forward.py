"""The feed-forward part: SwiGLU (arXiv 2002.05202) or squared ReLU (arXiv 2109.08668)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from nanocore.config.schema import Config
from nanocore.model.bitlinear import make_linear, project
from nanocore.model.norm import RMSNorm


class FeedForward(nn.Module):
    """down(silu(gate x) * up x), or down(relu(up x)^2), which has no gate."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        model = config.model
        gated = model.activation == "swiglu"
        self.gate = make_linear(config, model.d_model, model.d_ff) if gated else None
        self.up = make_linear(config, model.d_model, model.d_ff)
        self.down = make_linear(config, model.d_ff, model.d_model)
        self.sub_norm = RMSNorm(model.d_ff, model.norm_eps) if model.sub_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) to (B, T, C)."""
        if self.gate is None:
            hidden = F.relu(self.up(x)).square()
        else:
            gate, up = project(x, (self.gate, self.up))  # (B, T, d_ff) each
            hidden = F.silu(gate) * up
        return self.down(self.sub_norm(hidden))
