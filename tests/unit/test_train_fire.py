"""FIRE asked for while a run trains: done and told matrix by matrix, or refused without ending the run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from nanocore.config.validate import build
from nanocore.optim.optimizers import Optimizers
from nanocore.train.fire import fire_on_request
from tests.models import make_model


def job_of(*patterns: str, **sections: Any) -> Any:
    """A job with a model of two blocks, and what its reporter is told."""
    told: list[tuple[str, Any]] = []
    reporter = SimpleNamespace(
        event=lambda kind, **facts: told.append((kind, facts)),
        log=lambda message: told.append(("log", message)),
        warn=lambda message: told.append(("warn", message)),
    )
    core, config = make_model(), build({"fire": {"parameters": list(patterns)}, **sections})
    return SimpleNamespace(config=config, core=core, reporter=reporter, optimizers=Optimizers(core, config), told=told)


def test_a_request_reinitialises_and_tells_every_matrix_it_means() -> None:
    job = job_of("*.query.weight")
    fire_on_request(job)
    events = [facts for kind, facts in job.told if kind == "fire"]
    assert [facts["parameter"] for facts in events] == [f"blocks.{i}.attention.query.weight" for i in range(2)]
    assert all(facts["converged"] and facts["error"] < 1e-3 for facts in events)
    weight = job.core.blocks[0].attention.query.weight.detach()
    torch.testing.assert_close(weight @ weight.T, torch.eye(32), atol=2e-3, rtol=0)


def test_a_request_that_means_no_matrix_is_told_and_changes_nothing() -> None:
    check_refused(job_of("*.query.weight", "*.nothing"), "fits no matrix")


def test_a_request_in_the_gate_stage_is_told_and_changes_nothing() -> None:
    check_refused(job_of("*.query.weight", loop={"count": 2, "stage": "gate"}), "gate stage")


def check_refused(job: Any, reason: str) -> None:
    before = {name: tensor.clone() for name, tensor in job.core.state_dict().items()}
    fire_on_request(job)
    assert [kind for kind, _ in job.told] == ["warn"] and reason in job.told[0][1]
    assert all(torch.equal(tensor, before[name]) for name, tensor in job.core.state_dict().items())
