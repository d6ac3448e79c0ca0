"""Layers and models with a few small experts, for tests."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nanocore.config.schema import Config
from nanocore.model.experts import Experts
from nanocore.model.transformer import Transformer
from tests.models import VOCABULARY, model_config

MOE_KEYS = ("experts", "active", "shared", "d_expert", "every", "balance", "bias_rate")


def moe_config(**keys: Any) -> Config:
    moe = {"experts": 5, **{key: keys.pop(key) for key in MOE_KEYS if key in keys}}
    return Config.model_validate({**model_config(**keys).model_dump(), "moe": moe})


def layer(seed: int = 0, **keys: Any) -> Experts:
    experts, generator = Experts(moe_config(**keys)), torch.Generator().manual_seed(seed)
    experts.router.reset_parameters(generator, gain=1.0)
    for name, parameter in experts.named_parameters():
        if not name.startswith("router"):
            offset = 1.0 if "norm" in name else 0.0
            nn.init.normal_(parameter, offset, 0.1, generator=generator)
    return experts


def make_model(seed: int = 0, **keys: Any) -> Transformer:
    model = Transformer(moe_config(**keys), VOCABULARY)
    model.initialise(seed)
    return model


def inputs(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
