"""Launching, steering and continuing runs from the command line, with a trainer that is a process but has no torch."""

from __future__ import annotations

import pytest

from nanocore.config.resolve import resolve
from nanocore.config.toml import load
from nanocore.runs.create import read_run
from nanocore.runs.documents import write_document
from nanocore.runs.hints import to_type
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import observe
from nanocore.runs.status import Status
from tests import command_line
from tests.command_line import Nano, Result
from tests.quick import quick
from tests.run_helpers import events_of, steps_of, wait_for

nano, fake_trainer, no_leftovers = command_line.nano, command_line.fake_trainer, command_line.no_leftovers
pytestmark = pytest.mark.usefixtures("fake_trainer", "no_leftovers")
PRESET = resolve("tiny-cpu")
FOREVER = ("--set", "training.steps=100000")


def started(nano: Nano, result: Result) -> RunFolder:
    """The run that a --detach printed, once it makes steps."""
    assert result.code == 0, result.err
    run = RunFolder(nano.root / result.out.strip())
    wait_for(lambda: observe(run).state == "running", "the first step")
    return run


def test_detach_prints_the_name_and_the_run_can_be_steered_to_its_end(nano: Nano) -> None:
    run = started(nano, nano("train", "tiny-cpu", "--detach", *FOREVER))
    assert run.name == "tiny-cpu-0001"
    assert nano("pause", run.name).code == 0
    wait_for(lambda: observe(run).state == "paused", "the pause")
    refused = nano("resume", run.name, "--set", "training.steps=3")
    assert (refused.code, "stop it first" in refused.err) == (2, True)
    assert nano("resume", run.name).code == 0
    wait_for(lambda: observe(run).state == "running", "going on")
    taken = nano("checkpoint", run.name, "--json").data
    assert taken == {"run": run.name, "command": "checkpoint", "acknowledged": True, "step": taken["step"]}
    assert nano("sample", run.name).code == 0
    busy = nano("resume", run.name)
    assert (busy.code, busy.err.count("\n"), f"watch {run.name}" in busy.err) == (75, 1, True)
    assert nano("stop", run.name, "--wait").code == 0
    assert observe(run).state == "stopped"
    assert [event["command"] for event in events_of(run, "acknowledged")] == [
        "pause", "resume", "checkpoint", "sample", "stop",
    ]  # fmt: skip
    late = nano("pause", run.name)
    assert (late.code, late.err.count("\n")) == (2, 1)


@pytest.mark.parametrize("arguments", [("train", "tiny-cpu", "--detach"), ("resume", "old", "--json")], ids=" ".join)
def test_a_trainer_that_fails_at_once_is_reported_with_its_reason_and_exit_code(
    nano: Nano, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    nano("train", "tiny-cpu", "--create-only", "--name", "old")
    monkeypatch.setenv("FAKE_STEPS", "many")  # not a number: it dies before its first word
    failed = nano(*arguments)
    assert (failed.code, failed.out) == (1, "")
    assert "failed at once: it ended with exit code 1: ValueError" in failed.err
    assert f"nanoconsole --runs {nano.root} runs show" in failed.err


def test_the_exit_code_of_an_early_failure_is_the_trainers_own(nano: Nano, monkeypatch: pytest.MonkeyPatch) -> None:
    nano("train", "tiny-cpu", "--create-only", "--name", "damaged")
    failed = Status(state="crashed", phase="ended", exit_code=5, message="no checkpoint could be loaded")
    monkeypatch.setattr("nanocore.runs.spawn.spawn_trainer", lambda run, **_: write_document(run.status_file, failed))
    result = nano("resume", "damaged")
    assert result.code == 5
    assert "damaged: failed at once: no checkpoint could be loaded" in result.err


@pytest.mark.slow
def test_a_detached_trainer_that_takes_its_time_is_not_waited_for(nano: Nano, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanoconsole.services.launcher.CONFIRMATION", 0.3)
    monkeypatch.setenv("FAKE_START_SECONDS", "60")
    result = nano("train", "tiny-cpu", "--detach")
    assert (result.code, result.out) == (0, "tiny-cpu-0001\n")
    assert observe(RunFolder(nano.root / "tiny-cpu-0001")).state == "starting"


def test_create_only_makes_a_run_that_resume_starts(nano: Nano) -> None:
    assert nano("train", "tiny-cpu", "--set", "training.steps=20", "--name", "parent").code == 0
    made = nano("train", "--from", "parent@10", "--set", "training.steps=12", "--create-only")
    run = RunFolder(nano.root / "tiny-cpu-0001")
    assert (made.code, made.out) == (0, f"{run.path}\n")
    assert load(run.config_file).training.steps == 12
    listed = nano("runs", "list", "--json").data[0]
    assert (listed["name"], listed["state"], listed["alive"]) == (run.name, "created", False)
    assert nano("runs", "list").out.splitlines()[1].split()[:2] == [run.name, "created"]
    started = nano("resume", run.name, "--json")
    assert (started.code, started.data["step"], started.data["parent"]) == (0, 0, "parent@10")
    assert f"{run.name}: starting from parent@10, at its own step 0; folder {run.path}, process " in started.err
    wait_for(lambda: observe(run).state == "finished", "the end")
    second = nano("train", "tiny-cpu", "--create-only", "--name", "second", "--json").data
    assert second == {"run": "second", "path": str(nano.root / "second")}
    assert nano("runs", "delete", "second").code == 0


@pytest.mark.parametrize("option", ["--follow", "--detach", "--tensorboard"])
def test_create_only_is_refused_with_what_only_a_started_run_has(nano: Nano, option: str) -> None:
    refused = nano("train", "tiny-cpu", "--create-only", option)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "--create-only starts nothing" in refused.err
    assert not nano.root.exists()


def test_runs_list_and_show_tell_what_the_folder_holds(nano: Nano) -> None:
    assert "no runs" in nano("runs", "list").err
    assert nano("train", "tiny-cpu", "--set", "training.steps=20", "--name", "first").code == 0
    assert nano("train", "tiny-cpu", "--set", "training.steps=3", "--name", "second").code == 0
    listed = nano("runs", "list", "--json").data
    assert [(facts["name"], facts["state"], facts["step"]) for facts in listed] == [
        ("second", "finished", 3),
        ("first", "finished", 20),
    ]
    shown = nano("runs", "show", "first")
    assert "step-00000020" in shown.out
    assert "def step_20():" in shown.out
    assert nano("runs", "show", "first", "--json").data["checkpoints"] == listed[1]["checkpoints"]


def test_follow_prints_lines_and_ends_with_the_trainers_exit_code(nano: Nano, monkeypatch: pytest.MonkeyPatch) -> None:
    result = nano("train", "tiny-cpu", "--set", "training.steps=20", "--set", "logging.console_every=5")
    assert result.code == 0
    told = [line.split()[1] for line in result.out.splitlines() if line.startswith("step") and "loss" in line]
    assert told == ["1/20", "5/20", "10/20", "15/20", "20/20"]
    look, stop = (to_type(f"--runs {nano.root} {verb} tiny-cpu-0001") for verb in ("watch", "stop"))
    assert f"look: {look}; stop: {stop}" in result.err
    assert "  | def step_20():" in result.out.splitlines()
    assert "finished" in result.out.splitlines()[-1]
    assert read_run(RunFolder(nano.root / "tiny-cpu-0001"))["argv"][:2] == ["nanoconsole", "--runs"]
    monkeypatch.setenv("FAKE_FAULT", "nan@4")
    assert nano("train", "tiny-cpu").code == 4
    monkeypatch.setenv("FAKE_FAULT", "kill@4")
    killed = nano("train", "tiny-cpu")
    assert killed.code == 1
    assert "SIGKILL" in killed.out.splitlines()[-1]
    assert killed.out.count("crashed") == 1


def test_follow_as_json_is_one_stream_of_lines_from_the_launch_to_the_exit_code(nano: Nano) -> None:
    lines = nano("train", "tiny-cpu", "--set", "training.steps=4", "--json").lines
    assert (lines[0]["kind"], lines[0]["run"]) == ("run", "tiny-cpu-0001")
    assert [line["step"] for line in lines if line["kind"] == "metrics"] == [1, 2, 3, 4]
    assert (lines[-1]["kind"], lines[-1]["state"], lines[-1]["exit_code"]) == ("state", "finished", 0)
    again = nano("watch", "tiny-cpu-0001", "--json")
    assert again.code == 0
    assert [line["step"] for line in again.lines if line["kind"] == "metrics"] == [1, 2, 3, 4]


def test_resume_goes_on_from_the_last_checkpoint_with_what_may_change(nano: Nano) -> None:
    assert nano("train", "tiny-cpu", "--set", "training.steps=12").code == 0
    run = RunFolder(nano.root / "tiny-cpu-0001")
    done = nano("resume", run.name)
    assert (done.code, "training.steps" in done.err) == (2, True)
    other = nano("resume", run.name, "--set", "model.d_model=512")
    assert other.code == 2
    assert f"model.d_model {PRESET.model.d_model} -> 512" in other.err
    assert "do not fit another model.d_model, so start a new run from the beginning: " in other.err
    assert "train --from tiny-cpu-0001" in nano("resume", run.name, "--set", "training.seed=5").err
    assert load(run.config_file).model.d_model == PRESET.model.d_model
    assert nano("resume", run.name, "--set", "training.steps=20", "--follow").code == 0
    assert steps_of(run) == list(range(1, 21))
    assert load(run.config_file).training.steps == 20


RESUMED = ("training.steps=10", "training.steps=12", "logging.every=2")


@pytest.mark.parametrize("asked", quick(RESUMED, "training.steps=10", "logging.every=2"))
def test_a_resume_that_leaves_nothing_to_do_is_refused_and_changes_nothing(nano: Nano, asked: str) -> None:
    assert nano("train", "tiny-cpu", "--set", "training.steps=12", "--name", "done").code == 0
    run = RunFolder(nano.root / "done")
    before = run.config_file.read_bytes()
    refused = nano("resume", "done", "--set", asked, "--follow")
    assert refused.code == 2
    assert "done: step 12 is already done; give more than 12 steps: --set training.steps=N" in refused.err
    assert (run.config_file.read_bytes(), run.next_config_file.exists()) == (before, False)
    assert len(events_of(run, "started")) == 1


def test_a_stopped_run_is_not_given_fewer_steps_than_it_made(nano: Nano) -> None:
    run = started(nano, nano("train", "tiny-cpu", "--detach", *FOREVER))
    assert nano("stop", run.name, "--wait").code == 0
    step = max(steps_of(run))
    refused = nano("resume", run.name, "--set", f"training.steps={step}")
    assert (refused.code, f"step {step} is already done" in refused.err) == (2, True)


@pytest.mark.slow
def test_a_configuration_that_its_trainer_never_accepted_is_forgotten(
    nano: Nano, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started(nano, nano("train", "tiny-cpu", "--detach", *FOREVER))
    assert nano("stop", run.name, "--wait").code == 0
    monkeypatch.setattr("nanoconsole.services.launcher.CONFIRMATION", 0.3)
    monkeypatch.setenv("FAKE_START_SECONDS", "60")
    assert nano("resume", run.name, "--set", "training.steps=200000").code == 0
    assert load(run.next_config_file).training.steps == 200000
    wait_for(lambda: observe(run).phase == "building", "the new trainer")
    assert nano("stop", run.name, "--kill").code == 0
    monkeypatch.setenv("FAKE_START_SECONDS", "0")
    assert nano("resume", run.name).code == 0
    wait_for(lambda: observe(run).state == "running", "going on")
    assert (load(run.config_file).training.steps, run.next_config_file.exists()) == (100000, False)
    nano("stop", run.name, "--kill")


def test_stop_kill_keeps_the_last_checkpoint_and_resume_restarts_from_it(nano: Nano) -> None:
    run = started(nano, nano("train", "tiny-cpu", "--detach", *FOREVER))
    wait_for(lambda: events_of(run, "checkpoint"), "a checkpoint")
    assert nano("stop", run.name, "--kill", "--now").code == 2
    assert nano("stop", run.name, "--kill", "--json").data["ended_by"] == "SIGKILL"
    assert observe(run).text == "crashed: killed on request, without saving"
    again = nano("resume", run.name, "--json")
    restarted = again.data
    assert f"{run.name}: resuming, newest checkpoint step {restarted['step']}; folder " in again.err
    assert restarted["step"] % 10 == 0
    assert restarted["step"] > 0
    wait_for(lambda: observe(run).state == "running", "going on")
    busy = nano("train", "tiny-cpu", "--name", run.name)
    assert (busy.code, "exists already" in busy.err) == (2, True)
    assert nano("stop", run.name, "--now", "--json").data["ended_by"] == "SIGTERM"
    assert events_of(run, "resumed")[0]["step"] == restarted["step"]


def test_a_fork_begins_with_a_checkpoint_of_another_run(nano: Nano) -> None:
    assert nano("train", "tiny-cpu", "--set", "training.steps=20", "--name", "parent").code == 0
    arguments = ("--set", "training.steps=2", "--set", "optimizer.matrix_lr=0.01", "--fresh-optimizer", "--json")
    lines = nano("train", "--from", "parent@10", *arguments).lines
    assert (lines[0]["run"], lines[0]["step"], lines[0]["parent"]) == ("tiny-cpu-0001", 0, "parent@10")
    fork = RunFolder(nano.root / "tiny-cpu-0001")
    origin = read_run(fork)["parent"]
    assert (origin["run"], origin["step"], origin["optimizer"]) == ("parent", 10, "fresh")
    assert load(fork.config_file).optimizer.matrix_lr == 0.01
    wrong_step = nano("train", "--from", "parent@11")
    assert (wrong_step.code, "no checkpoint of step 11" in wrong_step.err) == (5, True)
    other_model = nano("train", "tiny-cpu", "--from", "parent", "--set", "model.n_layers=99")
    assert (other_model.code, f"model.n_layers {PRESET.model.n_layers} -> 99" in other_model.err) == (2, True)
    other_state = nano("train", "--from", "parent@10", "--set", "optimizer.state=int8")
    assert (other_state.code, "another form: optimizer.state float32 -> int8; keep" in other_state.err) == (2, True)
    assert "train --from parent@10 --fresh-optimizer --set ..." in other_state.err
    assert sorted(run.name for run in nano.root.iterdir() if run.name[0] != ".") == ["parent", "tiny-cpu-0001"]


def test_for_sets_a_length_of_time_and_excludes_other_horizons(nano: Nano, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_STEPS", "100000")  # the configuration names none
    run = started(nano, nano("train", "tiny-cpu", "--for", "8h", "--detach"))
    config = load(run.config_file)
    assert (config.training.duration, config.training.steps) == ("8h", 0)
    nano("stop", run.name, "--kill")
    for key in ("training.steps", "training.tokens"):
        both = nano("train", "tiny-cpu", "--for", "8h", "--set", f"{key}=30")
        assert (both.code, f"nanoconsole: --for and --set {key} exclude each other" in both.err) == (2, True)
    for length in ("soon", "5x", "0m"):
        wrong = nano("train", "tiny-cpu", "--for", length)
        assert (wrong.code, wrong.err.startswith("nanoconsole: --for: "), wrong.err.count("\n")) == (2, True, 1)
