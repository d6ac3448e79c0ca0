"""How the network breaks."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.validation.breakages.breakage import Patch, caught_by


def _attention(patch: Patch, attend: Callable[..., Tensor]) -> None:
    from nanocore.model import attention

    patch.setattr(attention, "F", SimpleNamespace(scaled_dot_product_attention=attend))


@caught_by("attention", "4 query heads on 2")
def heads_mapped_to_the_wrong_group(patch: Patch) -> None:
    def tiled(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
        times = query.shape[1] // key.shape[1]
        return F.scaled_dot_product_attention(
            query, key.repeat(1, times, 1, 1), value.repeat(1, times, 1, 1), **{**options, "enable_gqa": False}
        )

    _attention(patch, tiled)


@caught_by("attention", "a later token moves an earlier output")
def a_leaked_future_token(patch: Patch) -> None:
    _attention(
        patch, lambda *tensors, **options: F.scaled_dot_product_attention(*tensors, **{**options, "is_causal": False})
    )


@caught_by("attention", "another document moves an output")
def attention_across_documents(patch: Patch) -> None:
    from nanocore.model import transformer

    right = transformer.document_mask
    patch.setattr(transformer, "document_mask", lambda documents: right(torch.zeros_like(documents)))


@caught_by("tying", "a memory of its own")
def tied_weights_untied(patch: Patch) -> None:
    from nanocore.model.transformer import Transformer

    patch.setattr(Transformer, "head_weight", property(lambda self: self.embedding.weight.detach().clone()))


@caught_by("streams", "cosine of the closest")
def streams_made_identical(patch: Patch) -> None:
    from nanocore.model import hyper_connections

    patch.setattr(hyper_connections, "FAVOURED", hyper_connections.OTHER)


@caught_by("streams", "a row's sum off 1")
def maps_that_are_not_doubly_stochastic(patch: Patch) -> None:
    from nanocore.model import residual_maps

    right = residual_maps.doubly_stochastic
    patch.setattr(residual_maps, "doubly_stochastic", lambda weights: right(weights) * 1.01)


@caught_by("attention", "angles of the positions", slow=True)
def positions_that_all_turn_alike(patch: Patch) -> None:
    from nanocore.model.rotary import RotaryTable

    right = RotaryTable.__init__
    patch.setattr(RotaryTable, "__init__", lambda self, width, length, theta: right(self, width, length, 1.0))
