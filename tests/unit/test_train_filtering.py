"""What the trainer brings to token filtering: the reference model's scores, and how far the gradient is bent."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from nanocore.checkpoint.manifest import latest
from nanocore.infer.load import load_model
from nanocore.objective.goal import Goal, Scorer
from nanocore.objective.micro_batch import MicroBatch
from nanocore.train.distributed import World
from nanocore.train.gradient_cosine import gradient_cosine
from nanocore.train.hardware import Machine
from nanocore.train.reference import load_reference
from nanocore.train.step import forward
from tests.saved import BYTES, saved_run
from tests.techniques import CPU, SMALL
from tests.tiny import tiny_config
from tests.unit.test_objective_token_filter import batch, config, filtered, gradients, micro, model

FLOAT = ("model.linear=float",)  # ternary inputs are rounded, which makes steps of what differs by the last bit


def machine(dtype: torch.dtype = torch.float32) -> Machine:
    return Machine(CPU, dtype, 1, "a processor", None)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Of a reference model that tells its tokens apart."""
    path = latest(saved_run(tmp_path, *SMALL, *FLOAT).checkpoints_dir)
    assert path is not None
    return path


def scorer(checkpoint: Path, dtype: torch.dtype = torch.float32) -> Scorer:
    excess = ("collider.mode=head", "collider.importance=excess", f"collider.reference={checkpoint}")
    found = load_reference(tiny_config(*SMALL, *excess), BYTES, machine(dtype))
    assert found is not None
    return found


def test_a_reference_scores_each_document_of_a_row_as_if_it_stood_alone(checkpoint: Path) -> None:
    score, part = scorer(checkpoint), micro(batch())
    assert part.documents is not None
    whole = score(part)
    for row, border in ((0, 5), (2, 9)):
        for start, end in pairwise((0, border, part.tokens.shape[1])):
            place = (slice(row, row + 1), slice(start, end))
            alone = MicroBatch(part.tokens[place], part.targets[place], part.positions[place], None, np.array([row]))
            torch.testing.assert_close(whole[place], score(alone), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_a_model_has_no_excess_over_itself_in_the_arithmetic_of_the_training(
    checkpoint: Path, dtype: torch.dtype
) -> None:
    own, of = load_model(checkpoint)[0], batch()
    scores = scorer(checkpoint, dtype)(micro(of))
    goal = Goal(own, own.config, of, filtering=True, reference=lambda _: scores)
    with machine(dtype).autocast():
        parts = goal.terms(forward(own, own, micro(of)), micro(of)).parts
    assert [float(parts[f"collider/importance_p{q}"]) for q in (10, 50, 90)] == [0.0, 0.0, 0.0]


def test_the_gradient_cosine_is_the_dot_product_over_both_norms() -> None:
    made, of = model(config(collider={"mode": "head", "keep": 0.5})), batch()
    whole = Goal(made, made.config, of)
    theirs = gradients(made, whole.terms(forward(made, made, micro(of)), micro(of)).loss)
    one, other = (torch.cat([each.flatten() for each in found.values()]) for found in (filtered(made, of)[0], theirs))
    job: Any = SimpleNamespace(
        core=made, model=made, config=made.config, optimizers=SimpleNamespace(zero_grad=made.zero_grad),
        machine=machine(), world=World(0, 1, CPU), progress=SimpleNamespace(step=0),
    )  # fmt: skip
    expected = float(one @ other) / (float(one.norm()) * float(other.norm()))
    assert gradient_cosine(job, of, Goal(made, made.config, of, filtering=True), whole) == pytest.approx(expected)
