"""Which parameters train with what."""

from __future__ import annotations

import pytest

from nanocore.model.transformer import Transformer
from nanocore.optim.groups import Group, groups
from tests.tiny import tiny_config

ROLES = {"w1": "matrix", "e": "embedding", "h": "head", "n": "norm", "m": "mixing", "w2": "matrix"}
VALUES = {"w1": 10, "w2": 20, "e": 300, "h": 400, "n": 5, "m": 6}
RATES = (
    "optimizer.matrix_lr=0.1", "optimizer.embedding_lr=0.2", "optimizer.scalar_lr=0.3",
    "optimizer.matrix_weight_decay=0.01", "optimizer.other_weight_decay=0.02",
)  # fmt: skip


@pytest.mark.parametrize("matrices", ["muon", "adamw", "lion"])
@pytest.mark.parametrize("others", ["adamw", "lion"])
def test_each_role_has_its_optimizer_rate_and_decay(matrices: str, others: str) -> None:
    config = tiny_config(*RATES, f"optimizer.matrices={matrices}", f"optimizer.others={others}")
    assert groups(config, ROLES, VALUES) == [  # type: ignore[arg-type]
        Group("matrix", matrices, 0.1, 0.01, ["w1", "w2"], 30),  # type: ignore[arg-type]
        Group("embedding", others, 0.2, 0.02, ["e"], 300),  # type: ignore[arg-type]
        Group("head", others, 0.2, 0.02, ["h"], 400),  # type: ignore[arg-type]
        Group("norm", others, 0.3, 0.0, ["n"], 5),  # type: ignore[arg-type]
        Group("mixing", "adamw", 0.3, 0.0, ["m"], 6),
    ]


def test_roles_that_do_not_occur_have_no_group() -> None:
    assert [group.name for group in groups(tiny_config(), {"w": "matrix"}, {"w": 1})] == ["matrix"]


@pytest.mark.parametrize("tied", ["true", "false"])
def test_every_parameter_of_a_model_is_in_one_group(tied: str) -> None:
    model = Transformer(tiny_config(f"model.tie_embeddings={tied}"), 257)
    values = {name: parameter.numel() for name, parameter in model.named_parameters()}
    table = groups(tiny_config(), model.roles(), values)
    assert sorted(name for group in table for name in group.parameters) == sorted(values)
    assert sum(group.values for group in table) == sum(values.values())
    assert ("head" in [group.name for group in table]) == (tied == "false")
