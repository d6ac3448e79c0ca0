"""The optimizer's state by slot, exactly that of `nanocore.optim`, its bytes, and what an update needs besides while it lasts."""

from __future__ import annotations

import math
from collections import Counter
from typing import Literal

from nanocore.config.machine import device_type
from nanocore.config.parameters import Weight, Weights, of_role
from nanocore.config.schema import Config
from nanocore.limits import STACK_BYTES

Type = Literal["float32", "int64", "int8", "uint8"]
Slots = dict[str, tuple[Type, int]]  # by a tensor's name: the type of its values, and how many there are
BYTES: dict[Type, int] = {"float32": 4, "int64": 8, "int8": 1, "uint8": 1}
FLOAT = BYTES["float32"]
COUNTERS, COSINES = 3, 5  # of GaLore: counters, and adaptive the cosines of its last refreshes
SVD_WORK = 8  # square matrices that LAPACK's decomposition takes besides its input and its vectors


def state_bytes(config: Config, found: Weights) -> int:
    """Of all parameters together."""
    return sum(_bytes(state_slots(config, weight)) * times for weight, times in found.items())


def projected(config: Config, found: Weights) -> Weights:
    """The matrices whose momentum GaLore keeps in a subspace; the others stay with plain Muon."""
    return Counter({weight: times for weight, times in of_role(found, "matrix").items() if _projected(config, weight)})


def state_slots(config: Config, weight: Weight) -> Slots:
    """Lion keeps one float32 a value, AdamW two and a step counter for each tensor, Muon what its memory keys say."""
    optimizer = config.optimizer
    method = {"matrix": optimizer.matrices, "mixing": "adamw"}.get(weight.role, optimizer.others)
    if method == "muon":
        return _momentum(config, weight)
    slots: Slots = {"exp_avg": ("float32", weight.values)}
    if method == "adamw":
        slots.update(exp_avg_sq=("float32", weight.values), step=("float32", 1))
    return slots


def _bytes(slots: Slots) -> int:
    return sum(BYTES[kind] * count for kind, count in slots.values())


def _momentum(config: Config, weight: Weight) -> Slots:
    return _subspace(config, weight) if _projected(config, weight) else _buffer(config, weight.values)


def _buffer(config: Config, values: int) -> Slots:
    optimizer = config.optimizer
    if optimizer.state == "float32":
        return {"momentum_buffer": ("float32", values)}
    slots = _codes(config, "momentum", values, "int8" if optimizer.state == "int8" else "uint8")
    if optimizer.stochastic_rounding:
        slots["momentum_writes"] = ("int64", 1)
    return slots


def _codes(config: Config, name: str, values: int, kind: Type) -> Slots:
    """A code for each value, and a float32 scale for each block of them."""
    return {f"{name}_codes": (kind, values), f"{name}_scales": ("float32", -(-values // config.optimizer.state_block))}


def _rank(config: Config, side: int) -> int:
    return max(1, round(config.galore.rank_fraction * side))


def _subspace(config: Config, weight: Weight) -> Slots:
    """GaLore: a projector (r, k), momentum (r, L), and counters."""
    side, length = min(weight.shape), max(weight.shape)
    rank = _rank(config, side)
    counters: Slots = {"refresh_counters": ("int64", COUNTERS)}
    if config.galore.adaptive:
        counters["refresh_cosines"] = ("float32", COSINES)
    return _projector(config, rank * side) | _buffer(config, rank * length) | counters


def _projector(config: Config, values: int) -> Slots:
    """Floats, codes, or 4-bit codes, two in an unsigned byte."""
    form = config.galore.projector
    if form == "float32":
        return {"projector": ("float32", values)}
    slots = _codes(config, "projector", values, "int8")
    if form == "int4":
        slots["projector_codes"] = ("uint8", -(-values // 2))
    return slots


def _projected(config: Config, weight: Weight) -> bool:
    """Whether the matrix is projected: where that is on, it is no stack, and its state becomes smaller."""
    if config.galore.rank_fraction == 0.0 or len(weight.shape) != 2:
        return False
    return _bytes(_subspace(config, weight)) < _bytes(_buffer(config, weight.values))


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
