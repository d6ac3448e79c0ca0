"""Held-out measures of a looped model: each turn's own, next to the last turn's that every model has."""

from __future__ import annotations

import pytest
import torch

from nanocore.data.heldout import HeldOut
from nanocore.model.transformer import Transformer
from nanocore.train.distributed import World
from nanocore.train.evaluate import evaluate
from nanocore.train.hardware import Machine
from tests.techniques import SMALL, random_batches
from tests.tiny import tiny_config

CPU = torch.device("cpu")


def measured(model: Transformer) -> dict[str, float]:
    slice_ = HeldOut(list(random_batches(model.config, 2)), b"x" * 100)
    machine = Machine(CPU, torch.float32, 1, "a processor", None)
    return evaluate(model, slice_, machine, World(0, 1, CPU), lambda: None)


def test_each_turn_of_a_loop_is_measured_as_the_model_that_stops_there() -> None:
    looped = Transformer(tiny_config(*SMALL, "loop.count=3", "model.n_layers=2", "loop.before=1"), 257)
    looped.initialise(1)
    found = measured(looped)
    for turns in (1, 2):
        config = tiny_config(*SMALL, "model.n_layers=2", f"loop.count={turns}", *(["loop.before=1"] * (turns > 1)))
        alone = Transformer(config, 257)
        alone.load_state_dict(looped.state_dict(), strict=False)
        assert found[f"eval/ce_turn/{turns}"] == pytest.approx(measured(alone)["eval/ce"], rel=1e-6)
    assert found["eval/ce_turn/3"] == found["eval/ce"] != found["eval/ce_turn/2"]


def test_a_plain_model_has_no_turns() -> None:
    model = Transformer(tiny_config(*SMALL), 257)
    model.initialise(1)
    assert not [name for name in measured(model) if "turn" in name]
