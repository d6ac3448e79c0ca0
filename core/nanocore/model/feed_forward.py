"""The feed-forward part: SwiGLU (arXiv 2002.05202) or squared ReLU (arXiv 2109.08668)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from nanocore.config.schema import Config
from nanocore.model.bitlinear import make_linear
from nanocore.model.norm import RMSNorm
from nanocore.model.ternary_products import Operand, multiply


class FeedForward(nn.Module):
    """down(silu(gate x) * up x), or down(relu(up x)^2), which has no gate; `d_ff` wide, as the model or as given."""

    def __init__(self, config: Config, d_ff: int = 0) -> None:
        super().__init__()
        model = config.model
        d_ff = d_ff or model.d_ff
        self.gate = make_linear(config, model.d_model, d_ff) if model.activation == "swiglu" else None
        self.up = make_linear(config, model.d_model, d_ff)
        self.down = make_linear(config, d_ff, model.d_model)
        self.sub_norm = RMSNorm(d_ff, model.norm_eps) if model.sub_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) to (B, T, C)."""
        gate = self.gate.operand() if self.gate is not None else None
        return transform(x, gate, self.up.operand(), self.down.operand(), self.sub_norm)


def transform(x: Tensor, gate: Operand | None, up: Operand, down: Operand, norm: nn.Module) -> Tensor:
    """What a feed-forward layer of these matrices does to x (..., C)."""
    if gate is None:
        hidden = F.relu(multiply(x, (up,))[0]).square()
    else:
        gated, wide = multiply(x, (gate, up))  # (..., d_ff) each
        hidden = F.silu(gated) * wide
    return multiply(norm(hidden), (down,))[0]
