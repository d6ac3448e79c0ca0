"""DeltaNet layers: a recurrent memory of fixed size in place of attention (hybrid models).

Gated DeltaNet (arXiv 2412.06464) in the form of flash-linear-attention: convolution and SiLU on queries, keys and
values, unit queries and keys, a decay and a strength for each token and head, and a norm of each head's output under a
SiLU gate. Plain DeltaNet (arXiv 2406.06484) has no decay and no gate. The order of tokens needs no rotary positions.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nanocore.config.schema import Config
from nanocore.model.attention import Context
from nanocore.model.bitlinear import FloatLinear, make_linear, project
from nanocore.model.cache import Recurrence
from nanocore.model.convolution import ShortConvolution
from nanocore.model.delta_rule import chunked, recurrent
from nanocore.model.norm import RMSNorm

LARGEST_RATE = 16.0  # the published initial values of the decay: rate uniform up to it,
SMALLEST_STEP, LARGEST_STEP = 0.001, 0.1  # time step log-uniform between these
UNIT_EPS = 1e-6


class Decay(nn.Module):
    """Log-decay of each token and head, -exp(log_rate) softplus(weight x + bias): never positive."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(heads, width))
        self.bias = nn.Parameter(torch.empty(heads))
        self.log_rate = nn.Parameter(torch.empty(heads))

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) to (B, T, H); float32 at least."""
        weight, bias, log_rate = _wide(self.weight), _wide(self.bias), _wide(self.log_rate)
        return -log_rate.exp() * F.softplus(F.linear(x, weight, bias))


class DeltaNet(nn.Module):
    """The delta rule with n_heads heads, whose keys and values have one width; see nanocore.model.delta_rule.

    Large matrices are ternary as everywhere; strength and decay, a row for each head, stay in high precision. The norm
    of the heads takes the place of SubLN.
    """

    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        model, delta = config.model, config.delta
        heads, self.head_dim = delta.n_heads or model.n_heads, delta.head_dim or config.head_dim
        inner = heads * self.head_dim
        self.layer, self.chunk = layer, delta.chunk
        self.query = make_linear(config, model.d_model, inner)
        self.key = make_linear(config, model.d_model, inner)
        self.value = make_linear(config, model.d_model, inner)
        self.gate = make_linear(config, model.d_model, inner) if delta.gated else None
        self.output = make_linear(config, inner, model.d_model)
        self.strength = FloatLinear(model.d_model, heads)
        self.decay = Decay(model.d_model, heads) if delta.gated else None
        self.convolution = ShortConvolution(3 * inner, delta.conv) if delta.conv else None
        self.head_norm = RMSNorm(self.head_dim, model.norm_eps)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator, gain: float) -> None:
        """Draw what is no matrix and no norm: small projections of std gain / sqrt(inputs), the rest as published."""
        for parameter in (self.strength.weight, *([self.decay.weight] if self.decay is not None else ())):
            drawn = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(drawn.mul_(gain / math.sqrt(parameter.shape[1])))
        if self.decay is not None:
            rate = 1.0 - torch.rand(
                self.decay.log_rate.shape, generator=generator
            )  # not 0, whose logarithm is infinite
            self.decay.log_rate.copy_(rate.mul_(LARGEST_RATE).log_())
            share = torch.rand(self.decay.bias.shape, generator=generator)
            step = (share * math.log(LARGEST_STEP / SMALLEST_STEP) + math.log(SMALLEST_STEP)).exp()
            self.decay.bias.copy_(step.expm1().log())  # softplus of it is the step
        if self.convolution is not None:
            drawn = torch.rand(self.convolution.weight.shape, generator=generator)
            self.convolution.weight.copy_(drawn.mul_(2.0).sub_(1.0).div_(math.sqrt(self.convolution.width)))

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(B, T, C) to (B, T, C)."""
        linears = (self.query, self.key, self.value, *([self.gate] if self.gate is not None else ()))
        parts, cache = project(x, linears), context.cache
        past = cache.recurrence(self.layer) if cache is not None else None
        mixed, tail = self._convolve(torch.cat(parts[:3], dim=-1), past, context)
        q, k, v = F.silu(mixed).unflatten(-1, (3, -1, self.head_dim)).unbind(-3)  # (B, T, H, head_dim) each
        inputs, memory = (_unit(q), _unit(k), v, *self._strength_and_decay(x)), past.memory if past else None
        if cache is not None and x.shape[1] == 1:
            out, memory = recurrent(*inputs, memory)
        else:
            out, memory = chunked(*inputs, chunk=self.chunk, documents=context.documents, state=memory)
        if cache is not None:
            cache.keep(self.layer, x.shape[1], Recurrence(memory, tail.clone()))
        out = self.head_norm(out).flatten(2)
        return self.output(out if self.gate is None else out * F.silu(parts[3]))

    def _convolve(self, x: Tensor, past: Recurrence | None, context: Context) -> tuple[Tensor, Tensor]:
        """x (B, T, channels) convolved, and the last inputs, which later tokens need."""
        reach = self.convolution.width - 1 if self.convolution is not None else 0
        if context.cache is not None:
            x = torch.cat((past.inputs if past else x.new_zeros(x.shape[0], reach, x.shape[2]), x), dim=1)
        y = self.convolution(x, context.documents) if self.convolution is not None else x
        return (y if context.cache is None else y[:, reach:]), x[:, x.shape[1] - reach :]

    def _strength_and_decay(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """beta in (0, 1) and the log-decay, (B, T, H) each, in float32 at least."""
        with torch.autocast(x.device.type, enabled=False):
            x = _wide(x)
            return F.linear(x, _wide(self.strength.weight)).sigmoid(), self.decay(x) if self.decay else None


def _unit(x: Tensor) -> Tensor:
    """x / |x| over the last dimension, in float32 at least."""
    wide = _wide(x)
    return wide * (wide.square().sum(dim=-1, keepdim=True) + UNIT_EPS).rsqrt()


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
