"""The real trainer on a tiny model: what it writes, how it stops, resumes, forks and refuses."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from nanocore.checkpoint.manifest import available, latest
from nanocore.config.toml import save
from nanocore.errors import ResourceError
from nanocore.objective import goal
from nanocore.runs.control import send
from nanocore.runs.create import Parent, read_run
from nanocore.runs.curve import newest_attempts
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import read_all
from nanocore.runs.status import read_status
from nanocore.train import checkpoints, loop
from nanocore.train.job import Job
from tests.tiny import new_run, tiny_config, train, train_apart


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def one_cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(shared_cache))


def losses(run: RunFolder) -> dict[int, float]:
    records = newest_attempts(read_all(run.metrics_file))
    return {record["step"]: record["loss/ce"] for record in records if "loss/ce" in record}


def weights(run: RunFolder) -> dict[str, bytes]:
    path = latest(run.checkpoints_dir)
    assert path is not None
    tensors = {**load_file(path / "model.safetensors"), **load_file(path / "optim.safetensors")}
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


def test_a_whole_run_writes_what_its_folder_promises(tmp_path: Path) -> None:
    run = new_run(tmp_path, "training.steps=40", "logging.tensorboard=true", "optimizer.matrix_lr=0.01")
    assert train(run) == 0, run.log_file
    status = read_status(run)
    assert status and (status.state, status.step, status.steps, status.exit_code) == ("finished", 40, 40, 0)
    curve = losses(run)
    assert list(curve) == list(range(1, 41))
    assert abs(curve[1] - math.log(257)) < 0.02 * math.log(257)
    assert curve[40] < curve[1] - 0.5
    events = [record["kind"] for record in read_all(run.events_file)]
    assert events[0] == "started"
    assert {"eval", "checkpoint", "sample", "finished"} <= set(events)
    records = read_all(run.metrics_file)
    named = {key for record in records for key in record}
    assert {"eval/ce", "eval/bits_per_byte", "training/grad_norm", "training/lr/matrix", "time/data_wait"} <= named
    assert {"mhc/stream_cosine", "mhc/composite_gain", "ternary/zero_fraction", "ternary/flip_fraction"} <= named
    assert {"memory/rss_bytes", "memory/optimizer_bytes", "device/utilisation"} <= named
    assert run.sample_file(40).read_text().startswith("def ")
    facts = read_run(run)
    assert facts["heldout"]["xz_bits_per_byte"] > 0 and facts["corpus"]["hash"]
    state = facts["optimizer_state"]
    assert sum(state.values()) == facts["optimizer_estimate"] == records[-2]["memory/optimizer_bytes"]
    assert len(available(run.checkpoints_dir)) == 2  # keep_last
    check_tensorboard(run, curve)


def test_fewer_held_out_tokens_than_asked_for_is_a_warning(tmp_path: Path) -> None:
    run = new_run(tmp_path, "training.steps=1", "evaluation.tokens=1000000")
    assert train(run) == 0
    assert list(run.tensorboard_dir.rglob("*")) == []  # with logging.tensorboard = false, as tests have it
    said = [event["message"] for event in read_all(run.events_file) if event["kind"] == "warning"]
    tokens = int(said[0].split()[3])
    assert said == [f"measures are on {tokens} held-out tokens, all there are, not on evaluation.tokens = 1000000"]
    assert 0 < tokens <= read_run(run)["corpus"]["validation_tokens"] and tokens % 32 == 0


def check_tensorboard(run: RunFolder, curve: dict[int, float]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(run.tensorboard_dir), size_guidance={"scalars": 0})
    board.Reload()
    scalars = {event.step: event.value for event in board.Scalars("loss/ce")}
    assert scalars == pytest.approx(curve, rel=1e-6)
    promised = {"loss/total", "loss/ce", "throughput/tokens_per_sec", "mhc/composite_gain"}
    promised |= {"training/entropy", "training/grad_norm", "training/lr/matrix", "training/lr/mixing"}
    assert promised <= set(board.Tags()["scalars"])


@pytest.mark.slow
@pytest.mark.parametrize("sets", [("data.workers=0",), ("training.accumulation=2", "data.workers=2")])
def test_a_resumed_run_equals_one_that_never_stopped(
    tmp_path: Path, sets: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = new_run(tmp_path, *sets, name="whole")
    assert train(whole) == 0
    halved = new_run(tmp_path, *sets, name="halved")
    order(monkeypatch, halved, {7: ["stop"]})
    assert train(halved) == 0
    status = read_status(halved)
    assert status and (status.state, status.step) == ("stopped", 7)
    assert train(halved) == 0
    assert losses(halved) == losses(whole)
    assert weights(halved) == weights(whole)
    assert {record["attempt"] for record in read_all(halved.metrics_file)} == {1, 2}


def order(monkeypatch: pytest.MonkeyPatch, run: RunFolder, commands: dict[int, list[str]]) -> None:
    """Leave control files for the trainer just before it finishes the steps named."""
    true_step = loop.one_step

    def with_orders(job: Job, batch: Any) -> Any:
        for command in commands.pop(job.progress.step + 1, []):
            send(run, command)
        return true_step(job, batch)

    monkeypatch.setattr(loop, "one_step", with_orders)


def test_commands_are_obeyed_and_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path, "training.steps=1000", "checkpoint.every=0", "evaluation.every=0")
    order(monkeypatch, run, {2: ["checkpoint"], 3: ["sample", "pause"]})
    pauses: list[float] = []

    def instead_of_waiting(seconds: float) -> None:
        status = read_status(run)
        assert status and status.state == "paused"
        pauses.append(seconds)
        send(run, "resume" if len(pauses) == 2 else "stop" if len(pauses) == 4 else "pause")

    monkeypatch.setattr(loop.time, "sleep", instead_of_waiting)
    order(monkeypatch, run, {5: ["pause"]})
    assert train(run) == 0
    assert len(pauses) == 4
    assert [path.name for path in available(run.checkpoints_dir)] == ["step-00000002", "step-00000005"]
    assert run.sample_file(3).exists()
    kinds = [record["kind"] for record in read_all(run.events_file)]
    assert kinds.count("paused") == 2 and kinds[-1] == "stopped"
    assert kinds.count("acknowledged") >= 7


@pytest.mark.slow
def test_sigterm_saves_and_ends_with_its_own_code(tmp_path: Path) -> None:
    run = new_run(tmp_path, "training.steps=100000", "checkpoint.every=0", "evaluation.every=0")
    process = subprocess.Popen([sys.executable, "-m", "nanocore.train", str(run.path)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not ((status := read_status(run)) and status.step >= 2):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    status = read_status(run)
    assert status and status.state == "stopped" and status.exit_code == 143
    assert latest(run.checkpoints_dir) == run.checkpoints_dir / f"step-{status.step:08d}"


def test_a_non_finite_loss_never_reaches_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path, "checkpoint.every=1", "checkpoint.keep_last=9", "evaluation.every=0")
    calls, true_loss = [], goal.linear_cross_entropy

    def poisoned(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        loss = true_loss(*arguments, **options)
        bad = float("nan")
        return replace(loss, total=loss.total * bad, sum=loss.sum * bad) if len(calls) == 3 else loss

    monkeypatch.setattr(goal, "linear_cross_entropy", poisoned)
    assert train(run) == 4
    status = read_status(run)
    assert status and status.state == "diverged" and "non-finite" in status.message
    bad = next(record for record in read_all(run.events_file) if record["kind"] == "nonfinite")
    assert bad["step"] == 3 and bad["loss"] is None and bad["nonfinite"]["loss"] == "nan"
    assert read_all(run.metrics_file)[-1]["nonfinite"]["loss/ce"] == "nan"  # visible in the curve
    kept = latest(run.checkpoints_dir)
    assert kept is not None and kept.name == "step-00000002"
    tensors = load_file(kept / "model.safetensors").values()
    assert all(bool(tensor.isfinite().all()) for tensor in tensors)


def test_a_fork_starts_from_its_parent(tmp_path: Path) -> None:
    parent = new_run(tmp_path, name="parent")
    assert train(parent) == 0
    child = new_run(tmp_path, "training.steps=2", "training.seed=5", name="child", parent=Parent("parent", 12, "fresh"))
    assert train(child) == 0
    assert losses(child)[1] < losses(parent)[1] - 0.2  # it begins where the parent had come to
    assert read_run(child)["parent"]["run"] == "parent"
    coded = new_run(tmp_path, "optimizer.state=int8", name="coded", parent=Parent("parent", 12, "kept"))
    assert train(coded) == 5
    status = read_status(coded)
    assert status and "another form: optimizer.state float32 -> int8; keep the optimizer's keys" in status.message


@pytest.mark.slow
def test_a_checkpoint_that_a_fork_waits_for_outlives_its_turn(tmp_path: Path) -> None:
    keep = ("checkpoint.every=2", "checkpoint.keep_last=1", "checkpoint.keep_best=0")
    parent = new_run(tmp_path, "training.steps=4", *keep, name="parent")
    assert train(parent) == 0
    new_run(tmp_path, name="child", parent=Parent("parent", 4, "kept"))
    for steps in (8, 12):
        save(tiny_config(f"training.steps={steps}", *keep), parent.config_file)
        assert train(parent) == 0
    assert [path.name for path in available(parent.checkpoints_dir)] == ["step-00000004", "step-00000012"]
    assert train(RunFolder(tmp_path / "child")) == 0  # from now on the fork stands on its own
    save(tiny_config("training.steps=14", *keep), parent.config_file)
    assert train(parent) == 0
    assert [path.name for path in available(parent.checkpoints_dir)] == ["step-00000014"]


def test_another_configuration_cannot_resume_a_run(tmp_path: Path) -> None:
    run = new_run(tmp_path, "training.steps=4")
    assert train(run) == 0
    save(tiny_config("training.steps=8", "optimizer.matrix_lr=0.5"), run.config_file)
    assert train(run) == 5
    status = read_status(run)
    assert status and status.state == "crashed" and "optimizer.matrix_lr" in status.message
    assert len(available(run.checkpoints_dir)) == 1


def test_more_steps_may_be_asked_of_a_finished_run(tmp_path: Path) -> None:
    run = new_run(tmp_path, "training.steps=4")
    assert train(run) == 0
    save(tiny_config("training.steps=6"), run.config_file)
    assert train(run) == 0
    assert list(losses(run)) == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
def test_two_processes_give_the_curve_of_one(tmp_path: Path) -> None:
    # a small learning rate, so that rounding flips of the quantisers stay rare
    sets = ("training.accumulation=2", "training.steps=10", "optimizer.matrix_lr=0.001", "optimizer.embedding_lr=0.001")
    one, two = new_run(tmp_path, *sets, name="one"), new_run(tmp_path, *sets, name="two")
    assert train(one) == 0
    done = train_apart(two, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    first, second = losses(one), losses(two)
    assert list(first) == list(second) == list(range(1, 11))
    for number in first:
        assert second[number] == pytest.approx(first[number], rel=1e-3)
    assert len([record for record in read_all(two.events_file) if record["kind"] == "started"]) == 1


def test_a_fork_on_other_text_keeps_its_parents_vocabulary(tmp_path: Path) -> None:
    bpe = ("data.tokenizer=bpe", "data.vocab_size=270", "training.steps=2")
    parent = new_run(tmp_path, *bpe, name="parent")
    assert train(parent) == 0
    other_text = 'data.sources=[{kind="synthetic", documents=90}]'
    child = new_run(tmp_path, *bpe, other_text, name="child", parent=Parent("parent", 2))
    assert train(child) == 0
    vocabularies = [(run.checkpoints_dir / "step-00000002" / "tokenizer.json").read_text() for run in (parent, child)]
    assert vocabularies[0] == vocabularies[1]
    assert read_run(parent)["corpus"]["hash"] != read_run(child)["corpus"]["hash"]


def test_a_last_checkpoint_that_fails_is_no_good_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> Path:
        raise ResourceError("the checkpoint was not saved: No space left on device")

    monkeypatch.setattr(checkpoints, "save_checkpoint", full)
    run = new_run(tmp_path, "training.steps=2")
    assert train(run) == 6
    status = read_status(run)
    assert status and status.state == "crashed" and "could not be saved" in status.message


def test_a_sample_that_cannot_be_written_costs_only_itself(tmp_path: Path) -> None:
    run = new_run(tmp_path, "training.steps=2", "evaluation.sample_every=1")
    run.samples_dir.rmdir()
    assert train(run) == 0
    assert any("sample was not saved" in record.get("message", "") for record in read_all(run.events_file))
    assert latest(run.checkpoints_dir) is not None
