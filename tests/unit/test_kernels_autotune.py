"""Ways are compared once, remembered across processes unless the machine was busy, shown, and forgotten."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nanokernels import autotune, int_matmul, ops, training, tuned_file
from nanokernels.packing import PackedTernary, pack


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path))
    monkeypatch.setattr(autotune, "LAYOUT_SECONDS", 0.0)
    autotune.reset()
    yield
    autotune.reset()


class Machine:
    """A clock that ways move on by their own seconds; `disturb` says by how many times longer a run takes."""

    def __init__(self, disturb: Callable[[int], float] = lambda run: 1.0, **seconds: float) -> None:
        self.runs, self.now, self._disturb, self._seconds = list[str](), 0.0, disturb, seconds

    def fastest(self, what: str = "a product") -> str:
        return autotune.fastest(what, {name: lambda name=name: self._run(name) for name in self._seconds}, self._clock)

    def _run(self, name: str) -> None:
        self.now += self._seconds[name] * self._disturb(len(self.runs))
        self.runs.append(name)

    def _clock(self) -> float:
        return self.now


class Counting:
    """A product that says how often it was called."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, str, int]] = []

    def __call__(self, x: Tensor, packed: PackedTernary, path: str, threads: int) -> Tensor:
        self.calls.append((len(x), path, threads))
        return x


def matrix(rows: int = 70) -> PackedTernary:
    return pack(torch.ones(rows, 16, dtype=torch.int8), torch.ones(1, 1))


def test_the_fastest_way_is_found_in_turns_and_read_back_by_the_next_process() -> None:
    machine = Machine(slow=0.002, fast=0.001)
    assert machine.fastest() == "fast"
    assert machine.runs == ["slow", "fast"] * (autotune.MOST_ROUNDS + 1)
    assert autotune.inspect() == {"a product": {"way": "fast", "seconds with slow": 0.002, "seconds with fast": 0.001}}
    other = Machine(slow=1.0, fast=2.0)
    assert other.fastest() == "fast" and not other.runs
    assert other.fastest("another product") == "slow"


def test_long_runs_have_few_rounds() -> None:
    machine = Machine(slow=2.0, fast=1.0)
    assert machine.fastest() == "fast" and len(machine.runs) == 2 * (autotune.FEWEST_ROUNDS + 1)


def test_a_busy_moment_changes_no_answer_and_is_remembered_only_when_it_is_short() -> None:
    """Whoever runs while others work takes three times as long."""
    few = Machine(lambda run: 3.0 if run in (3, 5, 7, 9) else 1.0, slow=0.002, fast=0.001)
    assert few.fastest() == "fast" and autotune.inspect()["a product"]["way"] == "fast"
    autotune.reset()
    many = Machine(lambda run: 3.0 if run % 4 in (1, 3) and run > 5 else 1.0, slow=0.002, fast=0.001)
    assert many.fastest() == "fast" and autotune.inspect() == {}
    quiet = Machine(slow=0.002, fast=0.001)
    assert quiet.fastest() == "fast" and autotune.inspect()["a product"]["way"] == "fast"


def test_what_was_measured_can_be_seen_and_forgotten() -> None:
    Machine(one=1.0).fastest()
    content = json.loads(tuned_file.path().read_text())
    assert content["machine"] == tuned_file.machine() and content["machine"]["cpu"]
    assert autotune.inspect() == content["entries"] == {"a product": {"way": "one", "seconds with one": 1.0}}
    assert autotune.reset() == {tuned_file.path().name: content["entries"]}
    assert autotune.inspect() == {} and not tuned_file.path().exists()


def test_forgetting_reaches_what_the_process_has_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    answer = {"way": "float32", "torch": "torch"}
    monkeypatch.setattr(autotune, "fastest", lambda what, ways, clock: asked.append(what) or list(ways)[-1])
    for _ in range(2):
        assert int_matmul.chosen_path(torch.device("cpu"), 1) == answer["way"]
        assert not training.faster(64, 8, 4, 1)
    assert len(asked) == 2
    autotune.reset()
    assert int_matmul.chosen_path(torch.device("cpu"), 1) == answer["way"] and not training.faster(64, 8, 4, 1)
    assert asked[2:] == asked[:2]


def test_forgetting_takes_every_file_of_this_machine_and_leaves_those_of_others() -> None:
    Machine(one=1.0).fastest()
    own, folder = tuned_file.path(), tuned_file.path().parent
    content = json.loads(own.read_text())
    older, other, torn = (folder / f"autotune-{name}.json" for name in ("older", "other", "torn"))
    older.write_text(json.dumps(content | {"machine": content["machine"] | {"kernels": "of last week"}}))
    other.write_text(json.dumps(content | {"machine": content["machine"] | {"cpu": "another"}}))
    torn.write_text("{")
    (folder / "notes.txt").write_text("mine")
    assert autotune.reset() == {own.name: content["entries"], older.name: content["entries"], torn.name: {}}
    assert sorted(folder.iterdir()) == [other, folder / "notes.txt"]


def test_threads_are_measured_once_and_halves_leave_hyperthreads_out() -> None:
    assert autotune.thread_counts(1) == [1] and autotune.thread_counts(12) == [1, 2, 4, 6, 8, 12]
    seconds = {1: 3.0, 2: 1.0, 3: 2.0}
    asked: list[int] = []
    for _ in range(2):
        assert autotune.choose_threads("a model", 3, lambda count: asked.append(count) or seconds[count]) == 2
    assert asked == [1, 2, 3]
    assert autotune.choose_threads("a model", 2, lambda count: asked.append(count) or -count) == 2
    assert asked[3:] == [1, 2]  # another most, measured by itself


@pytest.mark.parametrize(
    "damage",
    [
        "", "{", "[]", "null", pytest.param("[" * 100_000, id="deep"), '{"schema": 1}', '{"schema": 1, "entries": 3}',
        '{"schema": 1, "entries": {"a product": 5}}',
        '{"schema": 1, "entries": {"a product": {"way": "two", "seconds with two": 1e999}}}',
        '{"schema": 99, "entries": {"a product": {"way": "two"}}}',
        '{"schema": 1, "entries": {"a product": {"way": "three"}}}',
        '{"schema": 1, "entries": {"a product": {"way": ["two"]}}}',
    ],
)  # fmt: skip
def test_a_damaged_file_is_measured_anew(damage: str) -> None:
    Machine(one=1.0).fastest()
    tuned_file.path().write_text(damage)
    machine = Machine(one=1.0, two=2.0)
    assert machine.fastest() == "one" and machine.runs
    assert autotune.inspect()["a product"]["way"] == "one"


def test_a_layout_is_measured_over_as_many_bytes_as_a_model_has() -> None:
    product = Counting()
    layout = autotune.choose_layout(64, 64, 8 * 64 * 64 // 4, product)
    assert len(product.calls) % 8 == 0 and layout in ("t2", "t5")
    product.calls.clear()
    assert autotune.choose_layout(64, 64, 8 * 64 * 64 // 4, product) == layout and not product.calls


def test_a_product_without_a_path_takes_the_best_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    x, packed = torch.randn(2, 16), matrix()
    taken: list[tuple[str, int]] = []
    monkeypatch.setattr(ops, "linear", lambda x, packed, path, threads: taken.append((path, threads)) or x)
    ops.ternary_linear(x, packed)
    assert taken == [(ops.active_path(), 1)] and not autotune.inspect()
