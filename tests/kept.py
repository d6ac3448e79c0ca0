"""What autograd keeps of a forward pass, counted from its tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


def live_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the memory behind some tensors; what several of them share counts once."""
    storages = {(s := tensor.untyped_storage()).data_ptr(): s.nbytes() for tensor in tensors}
    return sum(storages.values())


@dataclass
class Kept:
    """What autograd keeps of a forward pass until its backward; it stays alive while this does."""

    tensors: list[Tensor] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        return live_bytes(self.tensors)


@contextmanager
def kept_for_backward(model: nn.Module) -> Iterator[Kept]:
    """Note what the forward passes inside this block keep for backward, the model's parameters apart."""
    kept = Kept()
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}

    def note(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            kept.tensors.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        yield kept
