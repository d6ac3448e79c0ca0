"""Non-finite losses and gradients, and spikes: told with their batch, and left out, undone or the end of the run."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from nanocore.checkpoint.manifest import available, latest
from nanocore.checkpoint.state import load_checkpoint
from nanocore.objective import goal
from nanocore.runs.control import send
from nanocore.runs.curve import newest_attempts
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import Record, read_all
from nanocore.runs.status import read_status
from nanocore.train import loop, refusal, spikes
from nanocore.train.job import Job
from tests.run_helpers import events_of
from tests.state_of import state_of
from tests.techniques import SMALL
from tests.tiny import new_run, train

STEPS = ("training.steps=12", "checkpoint.every=3", "checkpoint.keep_last=9", "logging.tensorboard=true")
BAD = 8  # the batch that is poisoned; 6 is the checkpoint before it
SPIKE, NAN = 100.0, float("nan")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def quick(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(cache))
    monkeypatch.setattr(spikes, "LEAST", 5)


Poison = Callable[[int, int], float]


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Callable[[Poison], None]:
    """Let a function of the batch (from 1) and of how often it was met say by what its loss is multiplied."""
    true_loss, true_next = goal.linear_cross_entropy, loop.next_batch
    now, met = [0], {}

    def next_batch(job: Job) -> Any:
        found = true_next(job)
        now[0] = sum(found[1]["mixture"]["drawn"]) // job.config.training.batch_size
        return found

    def install(factor: Poison) -> None:
        def poisoned(*arguments: Any, **options: Any) -> Any:
            met[now[0]] = met.get(now[0], 0) + 1
            by, loss = factor(now[0], met[now[0]]), true_loss(*arguments, **options)
            return replace(loss, total=loss.total * by, sum=loss.sum * by)

        monkeypatch.setattr(goal, "linear_cross_entropy", poisoned)

    monkeypatch.setattr(loop, "next_batch", next_batch)
    return install


def trained(tmp_path: Path, *sets: str, code: int = 0) -> RunFolder:
    run = new_run(tmp_path, *SMALL, *STEPS, *sets)
    assert train(run) == code, run.log_file
    return run


def one(run: RunFolder, kind: str) -> Record:
    (event,) = events_of(run, kind)
    return event


def drawn(event: Record) -> int:
    """Which batch of four rows an event names."""
    return sum(event["batch"]["mixture"]["drawn"]) // 4


def steps(run: RunFolder) -> list[int]:
    return [record["step"] for record in newest_attempts(read_all(run.metrics_file)) if "training/grad_norm" in record]


def weights(run: RunFolder, step: int) -> dict[str, bytes]:
    path = run.checkpoints_dir / f"step-{step:08d}" / "model.safetensors"
    return {name: tensor.numpy().tobytes() for name, tensor in load_file(path).items()}


@pytest.mark.parametrize("lasting", [True, False], ids=["the batch", "the machine"])
def test_a_step_that_is_not_finite_is_made_again_to_say_whether_it_comes_again(
    tmp_path: Path, poison: Callable[[Poison], None], lasting: bool
) -> None:
    poison(lambda batch, met: NAN if batch == BAD and (lasting or met == 1) else 1.0)
    run = trained(tmp_path, code=4)
    event = one(run, "nonfinite")
    assert (event["step"], drawn(event), event["reproducible"]) == (BAD, BAD, lasting)
    assert event["tensors"][:1] == (["embedding.weight"] if lasting else [])
    words = "first in embedding.weight" if lasting else "finite when made again: a fault of the machine?"
    status = read_status(run)
    assert status and status.state == "diverged" and words in status.message
    kept = latest(run.checkpoints_dir)
    assert kept is not None and kept.name == "step-00000006"


@pytest.mark.parametrize("bad", [torch.inf, torch.nan], ids=["inf", "nan"])
def test_a_gradient_that_is_not_finite_is_named_though_the_loss_is_finite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: float
) -> None:
    true_passes, names = loop.take_step, []

    def poisoned(model: Any, purpose: Any, *arguments: Any, **options: Any) -> Any:
        name, weight = list(purpose.core.named_parameters())[-1]
        names.append(name)
        handle = weight.register_hook(lambda gradient: torch.full_like(gradient, bad))
        try:
            return true_passes(model, purpose, *arguments, **options)
        finally:
            handle.remove()

    monkeypatch.setattr(loop, "take_step", poisoned)
    run = trained(tmp_path, code=4)
    event = one(run, "nonfinite")
    assert event["loss"] > 0 and event["nonfinite"] == {"grad_norm": str(bad)}
    assert event["tensors"] == names[:1]
    assert available(run.checkpoints_dir) == []


def test_updates_may_be_left_out_but_not_for_ever(tmp_path: Path, poison: Callable[[Poison], None]) -> None:
    poison(lambda batch, _: NAN if batch in (4, 5) else 1.0)
    run = trained(tmp_path, "training.on_nonfinite=skip", "checkpoint.every=1", "checkpoint.keep_last=99")
    assert weights(run, 3) == weights(run, 4) == weights(run, 5) != weights(run, 6)
    assert [event["step"] for event in events_of(run, "nonfinite")] == [4, 5]
    poison(lambda *_: NAN)
    again = new_run(tmp_path, *SMALL, "training.steps=30", "training.on_nonfinite=skip", name="endless")
    assert train(again) == 4
    assert len(events_of(again, "nonfinite")) == 10


def test_a_spike_is_told_with_its_batch_and_by_default_nothing_else_happens(
    tmp_path: Path, poison: Callable[[Poison], None]
) -> None:
    poison(lambda batch, _: SPIKE if batch == BAD else 1.0)
    run = trained(tmp_path)
    event = one(run, "spike")
    assert (event["step"], drawn(event)) == (BAD, BAD)
    assert "spike, applied: loss" in event["message"] and "gradient norm" in event["message"]
    assert weights(run, 12) != weights(run, 9)


def test_a_spike_that_is_left_out_changes_no_weight(tmp_path: Path, poison: Callable[[Poison], None]) -> None:
    poison(lambda batch, _: SPIKE if batch == BAD else 1.0)
    run = trained(tmp_path, "training.on_spike=skip", "checkpoint.every=1", "checkpoint.keep_last=99")
    assert weights(run, BAD - 1) == weights(run, BAD) != weights(run, BAD + 1)
    assert [event["message"][:16] for event in events_of(run, "spike")] == ["spike, left out:"]
    assert steps(run) == list(range(1, 13))


@pytest.mark.parametrize("policy", ["on_spike", "on_nonfinite"])
def test_a_rollback_goes_on_from_the_checkpoint_with_the_text_behind(
    tmp_path: Path, poison: Callable[[Poison], None], policy: str
) -> None:
    poison(lambda batch, _: (SPIKE if policy == "on_spike" else NAN) if batch == BAD else 1.0)
    run = trained(tmp_path, f"training.{policy}=rollback")
    assert (one(run, "rollback")["step"], one(run, "rollback")["to_step"]) == (BAD, 6)
    assert one(run, "resumed")["attempt"] == 2
    assert steps(run) == list(range(1, 13))  # each once, from the attempt that counts
    status = read_status(run)
    assert status and (status.state, status.step, status.attempt) == ("finished", 12, 2)
    state = state_of(run)
    assert sum(state["progress"]["loader"]["mixture"]["drawn"]) == (12 + 2) * 4  # two batches were left behind
    assert state["progress"]["tokens"] == 12 * 4 * 16
    assert state["curve"][12]["tokens"] == 12 * 4 * 16


def test_a_rollback_restores_weights_optimizer_and_window_to_the_bit(
    tmp_path: Path, poison: Callable[[Poison], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(lambda batch, _: SPIKE if batch == BAD else 1.0)
    true_back, compared = refusal.roll_back, []

    def compare(job: Job, reason: str) -> None:
        true_back(job, reason)
        stored = load_checkpoint(job.run.checkpoints_dir / "step-00000006")
        for live, kept in ((job.core.state_dict(), stored.model), (job.optimizers.state_tensors(), stored.optimizer)):
            compared.extend(torch.equal(live[name], kept[name]) for name in kept)
        assert job.progress.spikes.losses == stored.state["progress"]["spikes"]["losses"]

    monkeypatch.setattr(refusal, "roll_back", compare)
    trained(tmp_path, "training.on_spike=rollback")
    assert len(compared) > 20 and all(compared)


def test_a_run_that_always_spikes_at_the_same_place_ends(tmp_path: Path, poison: Callable[[Poison], None]) -> None:
    poison(lambda batch, _: NAN if batch >= BAD else 1.0)
    run = trained(tmp_path, "training.on_nonfinite=rollback", code=4)
    assert [event["to_step"] for event in events_of(run, "rollback")] == [6, 6, 6]
    status = read_status(run)
    assert status and "went back to step-00000006 3 times already" in status.message


def test_without_a_checkpoint_there_is_nothing_to_go_back_to(tmp_path: Path, poison: Callable[[Poison], None]) -> None:
    poison(lambda batch, _: NAN if batch == 2 else 1.0)
    run = trained(tmp_path, "training.on_nonfinite=rollback", code=4)
    status = read_status(run)
    assert status and "there is no checkpoint to go back to" in status.message


def test_a_rollback_past_a_damaged_checkpoint_says_so(tmp_path: Path, poison: Callable[[Poison], None]) -> None:
    newest = tmp_path / "tiny" / "checkpoints" / "step-00000006" / "model.safetensors"

    def spoil(batch: int, met: int) -> float:
        if batch == BAD:
            os.truncate(newest, 100)
        return NAN if batch == BAD else 1.0

    poison(spoil)
    run = trained(tmp_path, "training.on_nonfinite=rollback")
    assert one(run, "rollback")["to_step"] == 3
    said = [event["message"] for event in events_of(run, "warning") if "is damaged" in event["message"]]
    assert len(said) == 1 and said[0].endswith("; step-00000003 is used")


def test_a_run_killed_after_a_rollback_takes_the_same_way_again(
    tmp_path: Path, poison: Callable[[Poison], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(lambda batch, _: SPIKE if batch == BAD else 1.0)
    whole = trained(tmp_path, "training.on_spike=rollback")
    killed = new_run(tmp_path, *SMALL, *STEPS, "training.on_spike=rollback", name="killed")

    class Killed(BaseException):
        pass

    true_step, seen = loop.one_step, []

    def one_step(job: Job, batch: Any) -> Any:
        seen.append(job.progress.step)
        if seen.count(7) == 2:  # it has been here before it went back
            raise Killed
        return true_step(job, batch)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "one_step", one_step)
        with pytest.raises(Killed):
            train(killed)
    assert train(killed) == 0
    assert state_of(killed)["tensors"] == state_of(whole)["tensors"]


def test_an_order_sent_before_a_rollback_is_still_obeyed(
    tmp_path: Path, poison: Callable[[Poison], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(lambda batch, _: NAN if batch == BAD else 1.0)
    true_back = refusal.roll_back
    run = new_run(tmp_path, *SMALL, *STEPS, "training.on_nonfinite=rollback")

    def with_order(job: Job, reason: str) -> None:
        send(run, "stop")
        true_back(job, reason)

    monkeypatch.setattr(refusal, "roll_back", with_order)
    assert train(run) == 0
    status = read_status(run)
    assert status and (status.state, status.step) == ("stopped", 7)
