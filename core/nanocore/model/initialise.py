"""Initial weights: the same for a seed on every device, and for a ternary model and its float twin."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nanocore.config.schema import Config
from nanocore.model.delta_net import DeltaNet
from nanocore.model.hyper_connections import HyperConnection
from nanocore.model.loop import ExitGate
from nanocore.model.norm import RMSNorm
from nanocore.model.roles import role_of
from nanocore.model.router import Router

MATRIX_GAIN = 0.5
EMBEDDING_STD = 0.02
LOGIT_RMS = 0.25
OWN_TOKEN_SHARE = 0.01  # of the loss at step 0


@torch.no_grad()
def initialise(model: nn.Module, config: Config, vocab_size: int, seed: int) -> None:
    """Draw every parameter of a Transformer with a generator of its own, in the order of their names in the model.

    | parameter                           | initial value                                        |
    |-------------------------------------|------------------------------------------------------|
    | matrices                            | normal, std 0.5 / sqrt(inputs): 0.02 for 625 inputs  |
    | attention.output, feed_forward.down | that over sqrt(2 n_layers): the sum of all branches keeps its size (GPT-2) |
    | embedding, head                     | normal, `embedding_std`, `head_std`                  |
    | norm gains                          | 1                                                    |
    | stream maps                         | as published, see HyperConnection                    |
    | exit gate                           | 0: even odds                                         |
    | routers                             | as matrices, their balancing biases 0                |
    | strength, decay, convolution        | see DeltaNet                                         |

    No projection starts at zero, as float models like: a zero matrix has ternary scale 0 and passes no gradient back.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, RMSNorm):
            module.weight.fill_(1.0)
        elif isinstance(module, HyperConnection | ExitGate):
            module.reset_parameters()
        elif isinstance(module, DeltaNet | Router):
            module.reset_parameters(generator, MATRIX_GAIN)
    for name, parameter in model.named_parameters():
        std = _std(name, parameter, config, vocab_size)
        if std:
            parameter.copy_(torch.randn(parameter.shape, generator=generator).mul_(std))


def _std(name: str, parameter: Tensor, config: Config, vocab_size: int) -> float:
    """Standard deviation of a drawn parameter; 0 for norms and mixing parts, which their modules fill."""
    if name == "embedding.weight":
        return embedding_std(config.model.d_model, vocab_size, config.model.tie_embeddings)
    if name == "head.weight":
        return head_std(config.model.d_model)
    if role_of(name) != "matrix":
        return 0.0
    ends_branch = name.endswith(("attention.output.weight", "feed_forward.down.weight", "shared.down.weight"))
    return MATRIX_GAIN / math.sqrt(parameter.shape[-1] * (2 * config.model.n_layers if ends_branch else 1))


def head_std(d_model: int) -> float:
    """Logits of normalised hidden states then have an rms of at most 0.25."""
    return min(EMBEDDING_STD, LOGIT_RMS / math.sqrt(d_model))


def embedding_std(d_model: int, vocab_size: int, tied: bool) -> float:
    """0.02; tied, small enough for the head and for the logit that each token gives itself.

    At the start hidden states still point along their own token's embedding, whose logit is then up to d_model * std.
    Its exponential stands in the softmax beside vocab_size others; it may raise the loss by 1 % of ln V.
    """
    if not tied:
        return EMBEDDING_STD
    own_logit = math.log1p(OWN_TOKEN_SHARE * vocab_size * math.log(vocab_size))
    return min(head_std(d_model), own_logit / d_model)
