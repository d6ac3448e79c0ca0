"""Sweeps, the queue's options and the editor's verbs on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanocore.config import toml
from nanocore.config.estimate import estimate
from nanocore.config.presets import find
from nanocore.config.resolve import resolve
from nanocore.runs import queue
from nanocore.runs.layout import list_runs
from tests import command_line
from tests.command_line import Nano
from tests.run_helpers import make_run

nano = command_line.nano


@pytest.fixture(autouse=True)
def woken(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    roots: list[Path] = []
    monkeypatch.setattr(queue, "wake", lambda root: bool(roots.append(root)))
    return roots


def test_a_sweep_is_shown_before_it_is_queued(nano: Nano, woken: list[Path]) -> None:
    over = ("--over", "training.seed=1,2", "--over", "optimizer.matrix_lr=0.01,0.02")
    shown = nano("queue", "sweep", "tiny-cpu", *over, "--dry-run", "--json").data
    assert len(shown) == 4 and not nano.root.exists()
    assert shown[1] == {
        "run": "tiny-cpu-seed-1-matrix_lr-0.02",
        "sets": {"training.seed": 1, "optimizer.matrix_lr": 0.02},
    }
    made = nano("queue", "sweep", "tiny-cpu", *over, "--set", "training.steps=9", "--slots", "2", "--stop-on-failure")
    assert made.code == 0 and "4 runs wait in the queue" in made.err and made.out.count("tiny-cpu-seed-") == 4
    assert woken == [nano.root] and [run.name for run in list_runs(nano.root)] == sorted(each["run"] for each in shown)
    entries = queue.read_queue(nano.root).pending()
    assert [entry.run for entry in entries] == [each["run"] for each in shown]
    assert {(entry.slots, entry.stop_on_failure) for entry in entries} == {(2, True)}
    config = toml.load(list_runs(nano.root)[0].config_file)
    assert (config.training.steps, config.training.seed, config.optimizer.matrix_lr) == (9, 1, 0.01)


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ("training.sed=1", "did you mean training.seed"),
        ("model.n_heads=4,5", "model.n_heads=5: model.n_heads: "),
        ("training.seed=" + ",".join(map(str, range(257))), "257 runs are more than the 256"),
    ],
)
def test_a_sweep_with_a_run_that_cannot_be_is_refused_as_a_whole(nano: Nano, over: str, words: str) -> None:
    result = nano("queue", "sweep", "tiny-cpu", "--over", over, "--set", "model.d_model=128")
    assert (result.code, result.out) == (2, "") and words in result.err
    assert not nano.root.exists()


def test_a_waiting_run_is_changed_and_the_queue_halted_and_started(nano: Nano) -> None:
    added = nano("queue", "add", "tiny-cpu", "--name", "a", "--set", "fire.at_step=9000")
    assert "note: fire.at_step: 9000 is behind the end of 700 steps, so FIRE never comes" in added.err
    assert nano("queue", "set", "a", "--slots", "3", "--stop-on-failure", "--json").data["slots"] == 3
    told = nano("queue", "set", "a", "--go-on")
    assert "slots 3, the queue goes on when it fails" in told.err
    assert nano("queue", "set", "b").code == 2
    assert nano("queue", "halt", "--json").data == {"halted": "halted by hand", "pending": 1}
    assert "halted by hand" in nano("queue", "list").err
    assert nano("queue", "start").code == 0 and not queue.read_queue(nano.root).halted


def test_switches_are_told_with_what_their_next_value_adds(nano: Nano, tmp_path: Path) -> None:
    file = tmp_path / "plain.toml"
    file.write_text("[training]\nsteps = 5\n")
    found = {each["key"]: each for each in nano("config", "switches", str(file), "--json").data}
    more = estimate(resolve(str(file), ["moe.experts=4"])).parameters - estimate(resolve(str(file))).parameters
    assert (found["moe.experts"]["now"], found["moe.experts"]["value"]) == ("0", "4")
    assert found["moe.experts"]["parameters"] == more
    changed = nano("config", "switches", str(file), "--set", "moe.experts=4")
    assert changed.code == 0 and [*filter(lambda line: line.startswith("moe.experts "), changed.out.splitlines())]
    assert "adds: parameters; tensors in memory at the peak; arithmetic" in changed.out  # what its columns are
    assert nano("config", "switches", str(file), "--set", "model.n_heads=7").code == 2


def test_a_configuration_is_saved_as_preset_as_file_and_in_place(nano: Nano, tmp_path: Path) -> None:
    file, new = tmp_path / "own.toml", tmp_path / "new.toml"
    file.write_text("# mine\n[training]\nsteps = 5 # few\n")
    assert nano("config", "save", str(file), "--set", "training.steps=6").code == 0
    assert file.read_text() == "# mine\n[training]\nsteps = 6 # few\n"
    made = nano("config", "save", str(file), str(new), "--set", "training.duration=30m")
    assert made.code == 0, made.err
    made_from = "# Made from own with changes. What own says of itself:\n"
    assert new.read_text().startswith(f"{made_from}# mine\n[training]\nsteps = 0 # was 6: few\nduration = ")
    saved = nano("config", "save", str(file), "mine", "--set", "mhc.streams=4", "--json").data
    assert saved == {"path": str(find("mine").path)}
    assert find("mine").description == "own.toml with mhc.streams = 4"
    run = make_run(tmp_path, "r")
    before = run.config_file.read_text()
    assert nano("config", "save", "r", "--set", "training.steps=6").code == 2 and run.config_file.read_text() == before
    assert nano("config", "save", "r", "of-a-run", "--about", "kept").code == 0
    assert find("of-a-run").description == "kept"
    assert nano("config", "save", "r", str(new)).code == 2  # it exists
