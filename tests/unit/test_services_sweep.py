"""Sweeps: what lines mean, how runs are named, and that a grid is queued as a whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanoconsole.services.launcher import Wanted, enqueue
from nanoconsole.services.sweep import MOST, Planned, axes, plan
from nanocore.config.schema import Config
from nanocore.errors import UsageError
from nanocore.runs import queue
from nanocore.runs.layout import list_runs, valid_name


def planned(*lines: str, stem: str = "tiny", taken: tuple[str, ...] = ()) -> list[Planned]:
    return list(plan({}, axes(lines), stem, lambda name: name in taken))


def test_every_combination_is_a_run_with_a_name_of_its_own() -> None:
    found = planned(
        "training.seed = 1, 2", "", "# a comment", "optimizer.matrix_lr = 0.01, 2e-2", "model.qk_norm=true,false"
    )
    assert len(found) == len({run.name for run in found}) == 8
    assert found[0].name == "tiny-seed-1-matrix_lr-0.01-qk_norm-on"
    assert found[0].sets == ("training.seed=1", "optimizer.matrix_lr=0.01", "model.qk_norm=true")
    assert [run.config.training.seed for run in found if run.config] == [1] * 4 + [2] * 4
    assert all(valid_name(run.name) for run in found)


def test_values_are_toml_or_bare_words_and_lists_keep_their_commas() -> None:
    assert axes(["training.duration = 30m, 1h"])[0].values == ("30m", "1h")
    assert axes(['hardware.device = "cpu", auto'])[0].values == ("cpu", "auto")
    assert axes(['fire.parameters = ["a", "b"], ["c"]'])[0].values == (["a", "b"], ["c"])
    assert planned("training.duration = 30m, 1h")[1].config is not None  # it replaces the steps


def test_names_that_are_taken_too_long_or_alike_are_told_apart() -> None:
    assert [run.name for run in planned("training.seed = 1, 2", taken=("tiny-seed-1",))] == [
        "tiny-seed-1-2",
        "tiny-seed-2",
    ]
    long = planned("training.seed = 1, 2", stem="a" * 60)
    assert [run.name for run in long] == [f"{'a' * 54}-001", f"{'a' * 54}-002"]
    alike = planned('evaluation.sample_prompt = "A", "a"')
    assert [run.name for run in alike] == ["tiny-sample_prompt-a", "tiny-sample_prompt-a-2"]
    both = planned("mtp.weight = 1", "moe.loss_weight = 1")
    assert both[0].name == "tiny-weight-1-loss_weight-1"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("training.seed", "is not key = v1, v2"),
        ("= 3", "is not key = v1, v2"),
        ("training.sed = 1", "did you mean training.seed"),
        ("training.seed =", "has no values"),
        ("training.seed = 1, 2, 1", "has the value 1 twice"),
        (f"training.seed = {', '.join(map(str, range(MOST + 1)))}", f"{MOST + 1} runs are more than the {MOST}"),
        ("\x1b[2J = 1", "unknown key"),
    ],
)
def test_a_line_that_cannot_be_used_is_refused_in_one_safe_line(line: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as refusal:
        axes([line])
    assert "\x1b" not in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_key_in_two_lines_is_refused() -> None:
    with pytest.raises(UsageError, match="stands in two lines"):
        axes(["training.seed = 1", "training.seed = 2"])


def test_a_combination_that_cannot_be_trained_says_why() -> None:
    good, bad = planned("model.n_heads = 4, 5")
    assert good.config is not None and bad.config is None
    assert "model.n_heads" in bad.problem and "5 heads" in bad.problem


def test_runs_are_queued_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "wake", lambda root: False)
    made = enqueue([Wanted(Config(), "a"), Wanted(Config(), "b")], root=tmp_path, slots=2, stop_on_failure=True)
    assert [run.name for run in made] == ["a", "b"]
    entries = queue.read_queue(tmp_path).pending("waiting")
    assert [(entry.run, entry.slots, entry.stop_on_failure) for entry in entries] == [("a", 2, True), ("b", 2, True)]
    with pytest.raises(UsageError, match="exists already"):
        enqueue([Wanted(Config(), "c"), Wanted(Config(), "a")], root=tmp_path)
    assert [run.name for run in list_runs(tmp_path)] == ["a", "b"]
    assert len(queue.read_queue(tmp_path).entries) == 2


def test_options_of_an_entry_and_a_halt_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "wake", lambda root: False)
    enqueue([Wanted(Config(), "a")], root=tmp_path)
    assert queue.set_options(tmp_path, "a", slots=3).slots == 3
    entry = queue.set_options(tmp_path, "a", stop_on_failure=True)
    assert (entry.slots, entry.stop_on_failure) == (3, True)
    with pytest.raises(UsageError, match="not in the queue"):
        queue.set_options(tmp_path, "b", slots=1)
    queue.halt(tmp_path)
    assert queue.read_queue(tmp_path).halted == "halted by hand" and not queue.read_queue(tmp_path).has_work
    queue.start(tmp_path)
    assert queue.read_queue(tmp_path).has_work
