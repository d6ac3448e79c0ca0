"""Verdicts, meters, drafts and costs: what the console says about a run, a machine and a configuration."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pynvml
import pytest

from nanoconsole.services import meters
from nanoconsole.services.cost import cost, read_timings
from nanoconsole.services.draft import Draft
from nanoconsole.services.draft_changes import changes
from nanoconsole.services.history import History
from nanoconsole.services.verdict import Verdict, judge
from nanocore.config import toml
from nanocore.errors import ConfigError, UsageError
from nanocore.runs.liveness import RunState
from tests.tui.scenes import lay

RUNNING = RunState("running", "training", alive=True, pid=1)


def verdict(losses: list[float | None], **metrics: float) -> Verdict:
    history = History()
    for step, loss in enumerate(losses, 1):
        bad = {"nonfinite": {"loss/ce": "nan"}} if loss is None else {}
        history.add([{"step": step, "elapsed": float(step), "loss/ce": loss, **bad, **metrics}])
    return judge(RUNNING, history, None)


def test_falling_and_level_losses_are_healthy_and_rising_ones_warned_of() -> None:
    falling = verdict([5.0 - step / 100 for step in range(100)])
    assert (falling.level, falling.text) == ("good", "healthy: loss falls 10.5% from step 1 to 100")
    assert "is level" in verdict([2.0] * 100).text
    rising = verdict([2.0 + step / 100 for step in range(100)])
    assert rising.level == "warning"
    assert "rises" in rising.text
    assert verdict([2.0] * 5) == Verdict("info", "warming up: 5 logged steps so far")


def test_non_finite_losses_and_metrics_out_of_their_range_are_told() -> None:
    assert verdict([2.0] * 60 + [None]) == Verdict("bad", "non-finite loss in 1 of the last 61 logged steps")
    assert (
        verdict([2.0] * 60, **{"mhc/composite_gain": 3.0}).text
        == "mhc/composite_gain is 3.000, outside its healthy range"
    )


def test_a_run_that_ended_is_told_with_its_reason() -> None:
    history = History()
    assert judge(RunState("crashed", reason="killed by SIGKILL"), history, None) == Verdict(
        "bad", "crashed: killed by SIGKILL"
    )
    assert judge(RunState("finished", reason="finished at step 9"), history, None) == Verdict(
        "info", "finished at step 9"
    )
    assert judge(RunState("starting", "importing", alive=True), history, None).text == "starting (importing)"


def test_meters_read_this_machine(tmp_path: Path) -> None:
    reading = meters.MeterReader(tmp_path / "not" / "there").read(psutil.Process().pid)
    assert 0 <= reading.cpu <= 1
    assert 0 < reading.memory_used < reading.memory_total
    assert 0 < reading.disk_free <= reading.disk_total
    assert reading.trainer_memory is not None
    assert reading.trainer_memory > 1 << 20


def test_a_trainer_that_is_gone_is_no_error(tmp_path: Path) -> None:
    reading = meters.MeterReader(tmp_path).read(2**22 + 5)
    assert (reading.trainer_cpu, reading.trainer_memory) == (None, None)


def test_gpus_are_read_and_what_a_driver_does_not_tell_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(handle: object) -> object:
        raise pynvml.NVMLError_NotSupported  # type: ignore[attr-defined]

    answers = {
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetUtilizationRates": lambda handle: SimpleNamespace(gpu=93),
        "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(used=3, total=9),
        "nvmlDeviceGetPowerUsage": unknown,
        "nvmlDeviceGetTemperature": lambda handle, sensor: 71,
        "nvmlDeviceGetName": lambda handle: "GPU \x1b[2J",
    }
    for name, answer in answers.items():
        monkeypatch.setattr(pynvml, name, answer)
    assert meters.MeterReader(tmp_path).read().gpus == (meters.Gpu("GPU ␛[2J", 0.93, 3, 9, None, 71.0),)


def test_without_a_driver_there_are_no_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise pynvml.NVMLError_LibraryNotFound  # type: ignore[attr-defined]

    monkeypatch.setattr(pynvml, "nvmlInit", missing)
    assert meters.MeterReader(tmp_path).read().gpus == ()


def test_without_the_library_there_are_no_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert meters.MeterReader(tmp_path).read().gpus == ()


@pytest.fixture
def draft(tmp_path: Path) -> Draft:
    file = tmp_path / "own.toml"
    file.write_text("# mine\n[model]\nd_model = 64 # narrow\nd_ff = 128\n\n[training]\nsteps = 10\n")
    return Draft(str(file))


def test_an_edit_that_equals_the_file_is_no_change(draft: Draft) -> None:
    draft.set("model.d_model", "128")
    assert [(c.key, c.before, c.after) for c in changes(draft)] == [("model.d_model", "64", "128")]
    draft.set("model.d_model", " 64 ")
    assert changes(draft) == []


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("model.d_model", "1_024", 1024),
        ("training.tokens", "1,000,000", 1_000_000),
        ("optimizer.matrix_lr", "1e-3", 1e-3),
        ("optimizer.grad_clip", "2", 2.0),
        ("mhc.streams", "4", 4),
        ("model.qk_norm", "false", False),
        ("hardware.device", "cpu", "cpu"),
        ("evaluation.sample_prompt", "true", "true"),
    ],
)
def test_typed_text_means_what_its_field_takes(draft: Draft, key: str, text: str, value: object) -> None:
    draft.set(key, text)
    assert draft.problems == {}
    assert draft.config is not None
    section, _, name = key.partition(".")
    found = getattr(getattr(draft.config, section), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "nan", "1e999", "9" * 5000, "[1]", "2020-01-01", "true", "1\n2", "\x1b[2J"]
)
def test_whatever_is_typed_is_a_fault_at_its_field_and_never_an_exception(draft: Draft, text: str) -> None:
    draft.set("model.n_layers", text)
    assert list(draft.problems) == ["model.n_layers"]
    assert draft.config is None
    assert "\x1b" not in draft.text("model.n_layers") + draft.problems["model.n_layers"]
    draft.reset("model.n_layers")
    assert draft.config == draft.base


def test_choosing_one_horizon_switches_the_others_off(draft: Draft) -> None:
    draft.set("training.duration", "8h")
    assert draft.problems == {}
    assert draft.text("training.steps") == "0"
    assert draft.config is not None
    assert draft.config.training.duration == "8h"


def test_saving_keeps_comments_and_makes_the_edit_the_base(draft: Draft) -> None:
    draft.set("model.d_model", "32")
    draft.save()
    assert draft.path.read_text().startswith("# mine\n[model]\nd_model = 32 # narrow\n")
    assert changes(draft) == []
    assert toml.load(draft.path) == draft.base


def test_a_draft_with_faults_is_not_saved(draft: Draft) -> None:
    before = draft.path.read_text()
    draft.set("model.d_model", "x")
    with pytest.raises(ConfigError, match=r"model\.d_model"):
        draft.save()
    assert draft.path.read_text() == before


def test_what_cannot_be_opened_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        Draft("no-such-preset")
    with pytest.raises(ConfigError):
        Draft(str(tmp_path / "none.toml"))


def test_time_comes_only_from_a_run_like_it_on_the_same_hardware(draft: Draft, tmp_path: Path) -> None:
    assert draft.config is not None
    assert cost(draft.config, read_timings(tmp_path / "runs")).seconds is None
    run = lay(tmp_path / "runs", "done", steps=100, tokens=draft.config.tokens_per_step * 100)
    run.config_file.write_text(draft.path.read_text())
    timings = read_timings(tmp_path / "runs")
    found = cost(draft.config, timings)
    assert (found.like, found.source) == ("done", "at the speed of run done on this machine")
    assert found.seconds == pytest.approx(100 * 0.25 * 10 / 100)  # a tenth of its steps
    draft.set("model.n_layers", "60")  # another size altogether
    assert draft.config is not None
    assert cost(draft.config, timings).seconds is None
    draft.reset("model.n_layers")
    draft.set("hardware.device", "cuda")
    assert draft.config is not None
    assert cost(draft.config, timings).seconds is None


def test_an_edit_that_makes_a_key_of_the_preset_meaningless_gives_it_its_default(tmp_path: Path) -> None:
    file = tmp_path / "two.toml"
    file.write_text("[mhc]\nstreams = 2\nevery = 7\n")
    draft = Draft(str(file))
    draft.set("mhc.streams", "1")
    assert draft.config is not None and draft.config.mhc.every == 100 and not draft.problems
    assert {change.key for change in changes(draft)} == {"mhc.streams", "mhc.every"}
    draft.save()
    assert Draft(str(file)).config == draft.config
    draft.set("mhc.every", "9")
    assert "no effect" in draft.problems["mhc.every"]
