"""Which techniques go together: each refusal names the key to change and says why. Others: test_config_validate.py."""

from __future__ import annotations

from typing import Any

import pytest

from nanocore.config.fields import get
from nanocore.config.validate import build
from nanocore.errors import ConfigError

Tables = dict[str, dict[str, Any]]

COMPILED = {"hardware": {"compile": True}}
FULL = {"collider": {"mode": "full"}}
MOE, DELTA, LOOP = {"moe": {"experts": 4}}, {"delta": {"pattern": "DA"}}, {"loop": {"count": 2}}
FP4 = {"fp4": {"format": "nvfp4"}}
FLOAT = {"model": {"linear": "float"}}
REFUSED: dict[str, tuple[Tables, str, str]] = {
    "collider and loop": ({**LOOP, "collider": {"mode": "head"}}, "collider.mode", "no single loss for each token"),
    "collider full and loop": ({**LOOP, **FULL}, "collider.mode", "no single loss for each token"),
    "collider full and experts": ({**MOE, **FULL}, "collider.mode", "moe.experts has no backward pass on kept tokens"),
    "collider full and DeltaNet": ({**DELTA, **FULL}, "collider.mode", "delta.pattern has no backward pass"),
    "collider full and FP4": ({**FP4, **FULL}, "collider.mode", "fp4.format has no backward pass"),
    "collider full, compiled": ({**COMPILED, **FULL}, "collider.mode", "hardware.compile has no backward pass"),
    "excess without a reference": (
        {"collider": {"mode": "head", "importance": "excess"}}, "collider.reference", "empty while importance is excess"
    ),
    "loop, compiled": ({**LOOP, **COMPILED}, "hardware.compile", "looped model cannot be compiled"),
    "no block to loop": ({"loop": {"count": 2, "before": 6}}, "loop.before", "leave none of 6 to loop"),
    "early exit and DeltaNet": (
        {**DELTA, "loop": {"count": 2, "exit_threshold": 0.9}}, "loop.exit_threshold", "with DeltaNet layers"
    ),
    "experts, compiled": ({**MOE, **COMPILED}, "hardware.compile", "routing to experts cannot be compiled"),
    "fewer experts than active": ({"moe": {"experts": 2, "active": 3}}, "moe.active", "of moe.experts = 2"),
    "one expert, two active": ({"moe": {"experts": 1}}, "moe.experts", "fewer than moe.active = 2"),
    "groups and the width of experts": (
        {"moe": {"experts": 4, "d_expert": 96}, "model": {"group_size": 64}}, "model.group_size", "moe.d_expert = 96"
    ),
    "no DeltaNet in the pattern": ({"delta": {"pattern": "A"}}, "delta.pattern", "none of 6 layers a DeltaNet layer"),
    "FP4, compiled": ({**FP4, **COMPILED}, "hardware.compile", "FP4 study cannot be compiled"),
    "FP4 forward on ternary": (
        {"fp4": {"format": "nvfp4", "forward": True}}, "fp4.forward", "multiply whole numbers"
    ),
    "FP4 in hardware": (
        {"fp4": {"format": "nvfp4", "execution": "hardware"}}, "fp4.execution", "need a Blackwell GPU and kernels"
    ),
    "FIRE in the gate stage": (
        {"fire": {"at_step": 3}, "loop": {"count": 2, "stage": "gate"}}, "fire.at_step", "matrices stay as they are"
    ),
    "tokens beyond the sequence": (
        {"mtp": {"horizon": 8}, "model": {"context_length": 9}}, "mtp.horizon", "do not fit a sequence of 9"
    ),
    "groups and d_ff": (
        {"model": {"group_size": 64, "d_ff": 96}}, "model.group_size", "does not divide the input width 96"
    ),
    "groups and the width of heads": (
        {"model": {"group_size": 64, "head_dim": 24}}, "model.group_size", "does not divide the input width 96"
    ),
}  # fmt: skip
ACCEPTED: dict[str, Tables] = {
    "collider head with experts, DeltaNet and FP4": {**MOE, **DELTA, **FP4, "collider": {"mode": "head"}},
    "every turn with DeltaNet": {**DELTA, "loop": {"count": 2, "exit_threshold": 1.0}},
    "early exit without DeltaNet": {"loop": {"count": 2, "exit_threshold": 0.9}},
    "a loop of one block": {"loop": {"count": 2, "before": 3, "after": 2}},
    "groups that divide the width of experts": {
        "moe": {"experts": 4, "d_expert": 128}, "model": {"group_size": 64}
    },
    "FP4 forward on float": {**FLOAT, "fp4": {"format": "nvfp4", "forward": True}},
    "tokens within the sequence": {"mtp": {"horizon": 7}, "model": {"context_length": 9}},
    "compiled with further tokens": {**COMPILED, "mtp": {"horizon": 1}, "collider": {"mode": "head"}},
}  # fmt: skip


@pytest.mark.parametrize(("table", "key", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_go_together_is_refused_with_the_reason(table: Tables, key: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(table)
    (problem,) = caught.value.problems
    where, _, rest = problem.partition(": ")
    what, _, fix = rest.partition("; ")
    assert where == key and reason in what and fix


@pytest.mark.parametrize("table", ACCEPTED.values(), ids=ACCEPTED)
def test_what_stands_beside_a_refusal_is_accepted(table: Tables) -> None:
    config = build(table)
    assert all(get(config, f"{section}.{key}") == value for section in table for key, value in table[section].items())
