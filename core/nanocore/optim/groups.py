"""Who trains with what: parameters sorted by role into groups, as data that screens and run.json can show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from nanocore.config.schema import Config
from nanocore.model.roles import Role

OptimizerName = Literal["muon", "adamw", "lion"]


@dataclass(frozen=True)
class Group:
    """Parameters of one role: their optimizer, peak learning rate and decoupled weight decay.

    `name` is the role, `parameters` are names in the model, `values` is how many numbers they hold together.
    """

    name: Role
    optimizer: OptimizerName
    lr: float
    weight_decay: float
    parameters: list[str]
    values: int


def groups(config: Config, roles: Mapping[str, Role], values: Mapping[str, int]) -> list[Group]:
    """One group for each role that occurs. `roles` and `values` map parameter names to role and number of elements.

    Norm gains and stream maps never decay: shrinking them has no meaning. Stream maps always train with AdamW, because
    Lion moves every value by a full step even on noise, a random walk for logits whose gradient is near zero.
    """
    optimizer = config.optimizer
    rules: dict[Role, tuple[OptimizerName, float, float]] = {
        "matrix": (optimizer.matrices, optimizer.matrix_lr, optimizer.matrix_weight_decay),
        "embedding": (optimizer.others, optimizer.embedding_lr, optimizer.other_weight_decay),
        "head": (optimizer.others, optimizer.embedding_lr, optimizer.other_weight_decay),
        "norm": (optimizer.others, optimizer.scalar_lr, 0.0),
        "mixing": ("adamw", optimizer.scalar_lr, 0.0),
    }
    found = []
    for role, (method, lr, weight_decay) in rules.items():
        names = [name for name, its_role in roles.items() if its_role == role]
        if names:
            found.append(Group(role, method, lr, weight_decay, names, sum(values[name] for name in names)))
    return found
