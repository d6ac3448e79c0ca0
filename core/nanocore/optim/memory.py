"""Which form each matrix's momentum takes: floats or codes, in full or in a subspace; and what state costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

import torch
from torch import Tensor

from nanocore.config.schema import Config
from nanocore.optim.galore import SubspaceMomentum
from nanocore.optim.momentum import DirectMomentum, Momentum, wide_shape
from nanocore.optim.quantised_state import Codes, Floats, Store

# What `Optimizers.state_bytes` calls each slot.
KINDS = {
    "momentum_buffer": "momentum",
    "momentum_codes": "momentum",
    "momentum_scales": "scales",
    "momentum_writes": "counters",
    "projector": "projector",
    "projector_codes": "projector",
    "projector_scales": "scales",
    "refresh_counters": "counters",
    "refresh_cosines": "counters",
    "exp_avg": "exp_avg",
    "exp_avg_sq": "exp_avg_sq",
    "step": "counters",
}


def momentum_of(parameter: Tensor, index: int, config: Config) -> Momentum:
    """How Muon keeps the momentum of a parameter, the one at position `index` among Muon's own.

    In a subspace where GaLore is on and makes the state smaller. Stacks of experts stay in full: an expert that no
    token reached when its subspace was chosen would keep a meaningless one until the next refresh.
    """
    seed = config.training.seed * 2**20 + index
    direct = DirectMomentum(_buffer(tuple(parameter.shape), config, seed), wide_shape(parameter.shape))
    if config.galore.rank_fraction == 0.0 or parameter.dim() != 2:
        return direct
    subspace = _subspace(wide_shape(parameter.shape), config, seed)
    size = partial(slot_bytes, parameter)
    return subspace if size(subspace) < size(direct) else direct


def _buffer(shape: tuple[int, ...], config: Config, seed: int) -> Store:
    optimizer = config.optimizer
    if optimizer.state == "float32":
        return Floats("momentum_buffer", shape)
    rounding = seed if optimizer.stochastic_rounding else None
    return Codes("momentum", shape, optimizer.state, optimizer.state_block, rounding)


def _subspace(shape: tuple[int, int], config: Config, seed: int) -> SubspaceMomentum:
    galore, (side, length) = config.galore, shape
    rank = max(1, round(galore.rank_fraction * side))
    basis: Store = Floats("projector", (rank, side))
    if galore.projector != "float32":
        basis = Codes("projector", (rank, side), galore.projector, config.optimizer.state_block)
    buffer = _buffer((rank, length), config, seed)
    return SubspaceMomentum(basis, buffer, (rank, length), galore.refresh_every, galore.adaptive)


def slot_bytes(parameter: Tensor, momentum: Momentum) -> int:
    """Bytes of the state that a momentum would keep for a parameter; nothing of that size is allocated."""
    return total_bytes(momentum.slots(torch.empty((), dtype=parameter.dtype, device="meta")).values())


def total_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes really allocated by tensors that share no memory."""
    return sum(tensor.untyped_storage().nbytes() for tensor in tensors)


def bytes_by_kind(slots: Iterable[Mapping[str, Tensor]]) -> dict[str, int]:
    """Bytes of all parameters' slots, by what they hold, largest first."""
    sums: dict[str, int] = {}
    for state in slots:
        for slot, tensor in state.items():
            sums[KINDS[slot]] = sums.get(KINDS[slot], 0) + total_bytes([tensor])
    return dict(sorted(sums.items(), key=lambda item: -item[1]))
