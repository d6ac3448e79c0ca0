"""Every technique in the real trainer: it changes the run, and a run resumed from its middle equals one never stopped."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from safetensors.torch import load_file

from nanocore.checkpoint.manifest import latest, step_folder
from nanocore.runs.create import Parent, read_run
from nanocore.runs.layout import RunFolder
from nanocore.runs.metrics import find_metric
from nanocore.runs.records import read_all
from nanocore.runs.status import read_status
from tests.techniques import CASES, HEAD_FILTER, SAME, SMALL
from tests.tiny import new_run, train

MIDDLE, END = 4, 8
TIMED = ("time", "elapsed", "throughput", "memory", "device")  # differ from run to run
LOOP = ("loop.count=3", "loop.before=1")
QUICK = {  # each with state of its own, or a pair that has it; all others are slow
    "mtp-sequential", "mhc-sinkhorn", "loop", "delta-gated", "fp4-nvfp4", "int8-stochastic", "galore-adaptive",
    "galore-int8-int4", "e3-full", "moe+delta+mhc4+int8",
}  # fmt: skip

Metrics = dict[int, dict[str, float]]


class Result(NamedTuple):
    """Of one attempt: its metrics by step, times left out, and all tensors of its last checkpoint as bytes."""

    metrics: Metrics
    tensors: dict[str, bytes]

    @property
    def losses(self) -> list[float]:
        return [row["loss/ce"] for row in self.metrics.values() if "loss/ce" in row]


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def one_cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(shared_cache))


@pytest.fixture(scope="module")
def root(shared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def plain(root: Path, shared_cache: Path) -> Result:
    """The run that no technique changes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NANOCONSOLE_CACHE", str(shared_cache))
        run = new_run(root, *SMALL, name="plain")
        assert train(run) == 0
    return result(run, 1)


def result(run: RunFolder, attempt: int) -> Result:
    metrics: Metrics = {}
    for record in read_all(run.metrics_file):
        named = {key: value for key, value in record.items() if key.partition("/")[0] not in TIMED and "/" in key}
        if record["attempt"] == attempt:
            metrics.setdefault(record["step"], {}).update(named)
    return Result(metrics, tensors(run))


def tensors(run: RunFolder) -> dict[str, bytes]:
    path = latest(run.checkpoints_dir)
    assert path is not None
    found = {**load_file(path / "model.safetensors"), **load_file(path / "optim.safetensors")}
    return {name: tensor.numpy().tobytes() for name, tensor in found.items()}


def check_resume(run: RunFolder, whole: Result) -> None:
    """Take the run back to the checkpoint in its middle and train it again: everything comes out the same."""
    shutil.rmtree(step_folder(run.checkpoints_dir, END))
    assert train(run) == 0
    again = result(run, 2)
    assert list(again.metrics) == list(range(MIDDLE + 1, END + 1))
    assert comparable(again.metrics) == comparable({step: whole.metrics[step] for step in again.metrics})
    assert again.tensors == whole.tensors


def comparable(metrics: Metrics) -> Metrics:
    """Without what a resumed process measures against its own past (flipped codes since the last measurement)."""
    return {
        step: {key: value for key, value in row.items() if key != "ternary/flip_fraction"}
        for step, row in metrics.items()
    }


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in CASES])
def test_a_technique_changes_the_run_and_resumes_to_the_bit(name: str, root: Path, plain: Result) -> None:
    run = new_run(root, *SMALL, *CASES[name], name=name.replace("+", "-"))
    assert train(run) == 0
    whole = result(run, 1)
    assert all(find_metric(key) for row in whole.metrics.values() for key in row)
    assert all(math.isfinite(loss) for loss in whole.losses)
    assert (whole.losses == plain.losses) == (name in SAME)
    assert (whole.tensors == plain.tensors) == (name in SAME)
    check_resume(run, whole)


@pytest.mark.parametrize("at", [pytest.param(2, marks=pytest.mark.slow), MIDDLE, 6])
def test_a_fire_happens_once_whether_before_at_or_after_the_resume(at: int, root: Path, plain: Result) -> None:
    run = new_run(root, *SMALL, f"fire.at_step={at}", name=f"fire-{at}")
    assert train(run) == 0
    whole = result(run, 1)
    assert whole.losses[:at] == plain.losses[:at]
    assert whole.losses[at] != plain.losses[at]
    check_resume(run, whole)
    fires = [event for event in read_all(run.events_file) if event["kind"] == "fire"]
    assert {event["step"] for event in fires} == {at}
    assert {event["attempt"] for event in fires} == ({1, 2} if at > MIDDLE else {1})


@pytest.mark.slow
@pytest.mark.parametrize("at", [2, MIDDLE, 6])
def test_a_fire_that_clears_codes_and_subspaces_resumes_to_the_bit(at: int, root: Path) -> None:
    """Before, at and after the resume: GaLore's codes, scales and counters begin anew with the matrix."""
    sets = (*SMALL, *CASES["galore-int8-int4"])
    without = new_run(root, *sets, name=f"coded-without-fire-{at}")
    run = new_run(root, *sets, f"fire.at_step={at}", name=f"coded-fire-{at}")
    assert train(without) == train(run) == 0
    whole, other = result(run, 1), result(without, 1)
    coded = {name.rpartition(".")[2] for name in whole.tensors if ".attention.query.weight." in name}
    assert {"projector_codes", "momentum_codes", "refresh_counters"} <= coded
    assert whole.losses[:at] == other.losses[:at] and whole.losses[at] != other.losses[at]
    check_resume(run, whole)


@pytest.mark.parametrize("optimizer", ["kept", pytest.param("fresh", marks=pytest.mark.slow)])
def test_the_gate_stage_is_a_fork_that_moves_nothing_but_the_gate(optimizer: str, root: Path) -> None:
    balance = "bias" if optimizer == "kept" else "loss"
    extra = ("mtp.horizon=1", "moe.experts=2", "moe.active=1", f"moe.balance={balance}", "mhc.streams=2")
    parent = new_run(root, *SMALL, *LOOP, *extra, "training.steps=4", name=f"joint-{optimizer}")
    assert train(parent) == 0
    origin = Parent(parent.name, 4, "kept" if optimizer == "kept" else "fresh")
    child = new_run(root, *SMALL, *LOOP, *extra, "loop.stage=gate", name=f"gate-{optimizer}", parent=origin)
    assert train(child) == 0
    assert read_run(child)["parent"]["run"] == parent.name
    before, whole = tensors(parent), result(child, 1)
    moved = {name for name, values in whole.tensors.items() if values != before[name] and name.count(".exp_") == 0}
    moved = {name for name in moved if not name.endswith((".step", "momentum_buffer"))}
    assert moved == {"exit_gate.weight", "exit_gate.bias", "exit_gate.norm.weight"}
    assert {"loss/gate", "loop/mean_turns"} <= set(whole.metrics[1])
    assert all(row["loss/total"] == row["loss/gate"] for row in whole.metrics.values() if "loss/total" in row)
    check_resume(child, whole)


@pytest.mark.parametrize("mode", ["head", pytest.param("full", marks=pytest.mark.slow)])
def test_excess_over_a_reference_run_resumes_to_the_bit(mode: str, root: Path) -> None:
    scorer = new_run(root, *SMALL, "training.steps=2", "training.seed=7", "mhc.streams=2", name=f"scorer-{mode}")
    assert train(scorer) == 0
    reference = latest(scorer.checkpoints_dir)
    sets = (*HEAD_FILTER, f"collider.mode={mode}")
    own = new_run(root, *SMALL, *sets, name=f"own-{mode}")
    excess = new_run(
        root, *SMALL, *sets, "collider.importance=excess", f"collider.reference={reference}", name=f"excess-{mode}"
    )
    assert train(own) == train(excess) == 0
    whole = result(excess, 1)
    assert whole.metrics[1]["loss/ce"] == result(own, 1).metrics[1]["loss/ce"]
    assert whole.metrics[1]["loss/kept"] != result(own, 1).metrics[1]["loss/kept"]
    check_resume(excess, whole)


@pytest.mark.slow
def test_a_resume_may_change_what_is_recomputed(root: Path) -> None:
    """Activation checkpointing is no part of the experiment; any other technique's key is."""
    run = new_run(root, *SMALL, "training.steps=8", "training.activation_checkpointing=full", name="recomputed")
    assert train(run) == 0
    whole = result(run, 1)
    text = run.config_file.read_text().replace('activation_checkpointing = "full"', 'activation_checkpointing = "none"')
    run.config_file.write_text(text)
    check_resume(run, whole)
    run.config_file.write_text(text.replace("horizon = 0", "horizon = 1"))
    assert train(run) == 5
    status = read_status(run)
    assert status and "mtp.horizon" in status.message
