"""Bytes of optimizer state, exactly those of `nanocore.optim`, and what an update needs besides while it lasts."""

from __future__ import annotations

import math
from collections import Counter

from nanocore.config.machine import device_type
from nanocore.config.parameters import Weight, Weights, of_role
from nanocore.config.schema import Config
from nanocore.limits import STACK_BYTES

FLOAT = 4  # bytes of float32
WRITES = 8  # stochastic rounding counts its writes
REFRESHES, COSINES = 24, 20  # GaLore's counters; adaptive, its last five cosines too
SVD_WORK = 8  # square matrices that LAPACK's decomposition takes besides its input and its vectors


def state_bytes(config: Config, found: Weights) -> int:
    """Lion keeps one float32 a value, AdamW two and a step counter for each tensor, Muon what its memory keys say."""
    methods = dict.fromkeys(("embedding", "head", "norm"), config.optimizer.others)
    methods |= {"matrix": config.optimizer.matrices, "mixing": "adamw"}
    kept = {
        "muon": lambda weight: _momentum(config, weight),
        "lion": lambda weight: FLOAT * weight.values,
        "adamw": lambda weight: 2 * FLOAT * weight.values + FLOAT,
    }
    return sum(kept[methods[weight.role]](weight) * times for weight, times in found.items())


def _momentum(config: Config, weight: Weight) -> int:
    direct = _buffer(config, weight.values)
    return min(direct, _subspace(config, weight)) if _may_project(config, weight) else direct


def _may_project(config: Config, weight: Weight) -> bool:
    return config.galore.rank_fraction > 0.0 and len(weight.shape) == 2


def _buffer(config: Config, values: int) -> int:
    optimizer = config.optimizer
    if optimizer.state == "float32":
        return FLOAT * values
    return _codes(config, values, 1) + WRITES * optimizer.stochastic_rounding


def _codes(config: Config, values: int, a_byte: int) -> int:
    """Codes, so many a byte, with a float32 scale for each block."""
    return -(-values // a_byte) + FLOAT * -(-values // config.optimizer.state_block)


def _rank(config: Config, side: int) -> int:
    return max(1, round(config.galore.rank_fraction * side))


def _subspace(config: Config, weight: Weight) -> int:
    """GaLore: a projector (r, k), momentum (r, L), and counters."""
    side, length = min(weight.shape), max(weight.shape)
    rank, form = _rank(config, side), config.galore.projector
    projector = FLOAT * rank * side if form == "float32" else _codes(config, rank * side, 2 if form == "int4" else 1)
    return projector + _buffer(config, rank * length) + REFRESHES + COSINES * config.galore.adaptive


def _projected(config: Config, weight: Weight) -> bool:
    return _may_project(config, weight) and _subspace(config, weight) < _buffer(config, weight.values)


def passing_bytes(config: Config, found: Weights) -> int:
    """The most that one update has at one time besides gradients: Muon's largest batch, or Lion's direction."""
    matrices, optimizer = of_role(found, "matrix"), config.optimizer
    others = found - matrices if optimizer.others == "lion" else Weights()
    lion = others + matrices if optimizer.matrices == "lion" else others
    largest = max((FLOAT * weight.values for weight in lion), default=0)
    return max(largest, _muon_bytes(config, matrices)) if optimizer.matrices == "muon" else largest


def _muon_bytes(config: Config, matrices: Weights) -> int:
    """Directions, their stack, two iterates and Gram matrices of a batch; or GaLore's choice of a subspace."""
    alike: Counter[tuple[int, int, int]] = Counter()
    largest = 0
    for weight, times in matrices.items():
        *stack, side, length = *weight.shape[:-2], min(weight.shape[-2:]), max(weight.shape[-2:])
        if _projected(config, weight):
            largest = max(largest, FLOAT * (2 * side * length + SVD_WORK * side**2))
            side = _rank(config, side)
        alike[math.prod(stack), side, length] += times
    return max([largest, *(_batch_bytes(config, *shape, count) for shape, count in alike.items())])


def _batch_bytes(config: Config, stack: int, side: int, length: int, count: int) -> int:
    """The largest batch of `count` parameters of `stack` matrices each, (side, length) as they are orthogonalised."""
    matrix, gram = side * length * FLOAT, side**2 * FLOAT
    at_once = max(1, STACK_BYTES[device_type(config.hardware)] // matrix)
    batch = stack * min(count, max(1, at_once // stack))
    own = config.optimizer.nesterov or config.optimizer.state != "float32"  # else the direction is the momentum itself
    return batch * (3 + own) * matrix + min(batch, at_once) * 4 * gram
