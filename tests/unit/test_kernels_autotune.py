"""Choices are measured once, kept across processes, shown, and measured anew when the file is damaged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nanokernels import autotune, ops, tuned_file
from nanokernels.packing import PackedTernary, pack


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path))
    monkeypatch.setattr(autotune, "SECONDS", 0.0)
    autotune.reset()
    yield
    autotune.reset()


class Counting:
    """A product that says how often it was called."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, str, int]] = []

    def __call__(self, x: Tensor, packed: PackedTernary, path: str, threads: int) -> Tensor:
        self.calls.append((len(x), path, threads))
        return x


def matrix(rows: int = 70) -> PackedTernary:
    return pack(torch.ones(rows, 16, dtype=torch.int8), torch.ones(1, 1))


def test_a_choice_is_measured_once_and_read_back_by_the_next_process() -> None:
    product = Counting()
    choice = autotune.choose(matrix(), 1, product)
    assert {path for _, path, _ in product.calls} == {path for path, _ in autotune.candidates(70 * 16)}
    autotune._chosen.clear()  # what a new process knows
    product.calls.clear()
    assert autotune.choose(matrix(), 1, product) == choice and not product.calls


def test_numbers_of_tokens_share_the_choice_of_the_next_measured_one() -> None:
    product = Counting()
    for tokens in (3, 5, 6):
        autotune.choose(matrix(), tokens, product)
    assert {tokens for tokens, _, _ in product.calls} == {6} and len(autotune.inspect()) == 1
    autotune.choose(matrix(), 10_000, product)
    assert max(tokens for tokens, _, _ in product.calls) == 256


def test_what_was_measured_can_be_seen_and_forgotten() -> None:
    product = Counting()
    autotune.choose(matrix(), 1, product)
    entry = autotune.inspect()["t2 70x16 groups 1 tokens 1"]
    assert entry["path"] in ops.available_paths() and entry["threads"] == 1 and entry["gops"] > 0
    content = json.loads(tuned_file.path().read_text())
    assert content["machine"] == tuned_file.machine() and content["machine"]["cpu"]
    assert autotune.reset() == {tuned_file.path().name: content["entries"]}
    assert autotune.inspect() == {} and not tuned_file.path().exists()


def test_forgetting_takes_every_file_of_this_machine_and_leaves_those_of_others() -> None:
    autotune.choose(matrix(), 1, Counting())
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
        '{"schema": 1, "entries": {"t2 70x16 groups 1 tokens 1": 5}}',
        '{"schema": 1, "entries": {"t2 70x16 groups 1 tokens 1": {"path": "torch", "threads": 1, "gops": 1e999}}}',
        '{"schema": 99, "entries": {"t2 70x16 groups 1 tokens 1": {"path": "torch", "threads": 1, "gops": 1.0}}}',
        '{"schema": 1, "entries": {"t2 70x16 groups 1 tokens 1": {"path": "warp", "threads": 1, "gops": 1.0}}}',
        '{"schema": 1, "entries": {"t2 70x16 groups 1 tokens 1": {"path": "torch", "threads": 100000, "gops": 1.0}}}',
    ],
)  # fmt: skip
def test_a_damaged_file_is_measured_anew(damage: str) -> None:
    product = Counting()
    expected = autotune.choose(matrix(), 1, product)
    tuned_file.path().write_text(damage)
    autotune._chosen.clear()
    product.calls.clear()
    choice = autotune.choose(matrix(), 1, product)
    assert product.calls and choice.path in ops.available_paths() and choice.threads == expected.threads
    assert autotune.inspect()["t2 70x16 groups 1 tokens 1"]["path"] == choice.path


def test_small_matrices_are_left_to_one_thread() -> None:
    assert {threads for _, threads in autotune.candidates(autotune.ONE_THREAD_BELOW - 1)} == {1}
    large = [threads for path, threads in autotune.candidates(1 << 30) if path != "torch"]
    assert not large or max(large) <= tuned_file.cpus() < 2 * max(large)


def test_the_fastest_candidate_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = autotune.candidates(70 * 16)
    seconds = iter(float(len(tried) - i) for i in range(len(tried)))
    monkeypatch.setattr(autotune, "_seconds", lambda call: next(seconds))
    choice = autotune.choose(matrix(), 1, Counting())
    assert (choice.path, choice.threads) == tried[-1]


def test_a_layout_is_measured_over_as_many_bytes_as_a_model_has() -> None:
    product = Counting()
    layout = autotune.choose_layout(64, 64, 8 * 64 * 64 // 4, product)
    assert len(product.calls) % 8 == 0 and layout in ("t2", "t5")
    product.calls.clear()
    assert autotune.choose_layout(64, 64, 8 * 64 * 64 // 4, product) == layout and not product.calls


def test_a_product_without_a_path_takes_the_choice() -> None:
    x, packed = torch.randn(2, 16), matrix()
    assert torch.equal(ops.ternary_linear(x, packed), ops.ternary_linear(x, packed, path="torch"))
    assert "t2 70x16 groups 1 tokens 2" in autotune.inspect()
