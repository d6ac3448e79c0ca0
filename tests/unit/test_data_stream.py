"""The training stream: rows, order, mixture, and states from which it continues exactly."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nanocore.config.schema import Config
from nanocore.data.batch import Batch, make_batch
from nanocore.data.prepare import Corpus, prepare
from nanocore.data.stream import batches, epoch_order, plans, positions
from nanocore.errors import DataError
from tests.tiny import tiny_config

BOS = 256


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def corpus_of(config: Config, cache: Path) -> Corpus:
    return prepare(config.data, cache=cache)


def two_sources(tmp_path: Path, weights: tuple[float, float], *sets: str) -> Config:
    """Synthetic text and 20 files, weighted."""
    for number in range(20):
        (tmp_path / f"{number}.txt").write_text(f"{number} {number * 77}\n" * 8)
    config = tiny_config("training.batch_size=5", *sets)
    table: dict[str, Any] = config.model_dump()
    table["data"]["validation_fraction"] = 0.2
    table["data"]["sources"] = [
        {"kind": "synthetic", "documents": 12, "weight": weights[0]},
        {"kind": "files", "paths": [f"{tmp_path}/*.txt"], "weight": weights[1]},
    ]
    return Config.model_validate(table)


def same(first: Batch, second: Batch) -> bool:
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in vars(first))


def brute_force(row: np.ndarray) -> tuple[list[int], list[int]]:
    """Positions and document numbers of a row's inputs, token by token."""
    place, document, positions_, documents = -1, 0, [], []
    for index, token in enumerate(row[:-1]):
        if token == BOS and index:
            place, document = -1, document + 1
        place += 1
        positions_.append(place)
        documents.append(document)
    return positions_, documents


def test_positions_and_documents_by_brute_force() -> None:
    random = np.random.default_rng(1)
    for density in (0.0, 0.05, 0.4, 1.0):
        rows = np.where(random.random((20, 18)) < density, BOS, random.integers(0, 256, (20, 18))).astype(np.uint16)
        batch = make_batch(rows, bos=BOS, isolate_documents=True)
        for index, row in enumerate(rows):
            expected = brute_force(row)
            assert (batch.positions[index].tolist(), batch.documents[index].tolist()) == expected
        assert np.array_equal(batch.tokens, rows[:, :-1]) and np.array_equal(batch.targets, rows[:, 1:])
        assert {array.dtype for array in vars(batch).values()} == {np.dtype(np.int32)}


def test_a_document_ends_by_predicting_the_next_bos() -> None:
    batch = make_batch(np.array([[BOS, 1, 2, BOS, 3]]), bos=BOS, isolate_documents=True)
    assert batch.tokens.tolist() == [[BOS, 1, 2, BOS]]
    assert batch.targets.tolist() == [[1, 2, BOS, 3]]
    assert batch.positions.tolist() == [[0, 1, 2, 0]]
    assert batch.documents.tolist() == [[0, 0, 0, 1]]


def test_without_isolation_a_row_is_one_document() -> None:
    batch = make_batch(np.array([[5, BOS, 2, BOS, 3]]), bos=BOS, isolate_documents=False)
    assert batch.positions.tolist() == [[0, 1, 2, 3]]
    assert batch.documents.tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize("tokens", [33, 34, 63, 64, 65, 1000, 4096])
def test_an_epoch_visits_every_row_once(tokens: int) -> None:
    for epoch in range(5):
        starts = np.sort(epoch_order(tokens, 32, [7, 0, epoch]))
        assert len(starts) >= 1
        assert np.all(np.diff(starts) == 32)  # rows touch: each token is a target once
        assert 0 <= starts[0] < 32
        assert tokens - 32 <= starts[-1] + 32 < tokens  # only less than a row is left at the end


def test_epochs_follow_one_another_completely() -> None:
    orders = [epoch_order(200, 16, [3, 0, epoch]).tolist() for epoch in range(3)]
    expected = [start for order in orders for start in order]
    assert [start for start, _ in islice(positions(200, 16, [3, 0]), len(expected))] == expected


def test_orders_differ_by_epoch_source_and_seed_and_are_shuffled() -> None:
    orders = {tuple(epoch_order(32 * 200, 32, seed)) for seed in ([7, 0, 0], [7, 0, 1], [7, 1, 0], [8, 0, 0])}
    assert len(orders) == 4
    order = epoch_order(32 * 2000, 32, [7, 0, 0])
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.1  # 4.5 standard deviations of chance
    assert np.mean(np.abs(np.diff(order)) == 32) < 0.01


def test_the_order_is_the_same_with_every_numpy() -> None:
    expected = [123, 43, 171, 11, 27, 75, 139, 155, 107, 91, 59]
    assert epoch_order(200, 16, [1337, 0, 0]).tolist() == expected


def test_rows_are_those_of_the_shard_in_the_computed_order(cache: Path) -> None:
    config = tiny_config("training.batch_size=3")
    corpus = corpus_of(config, cache)
    shard = corpus.train[0]
    order = epoch_order(len(shard.tokens), 32, [config.training.seed, 0, 0])
    for index, (batch, _) in enumerate(islice(batches(corpus, config), 10)):
        for row in range(3):
            start = order[3 * index + row]
            assert np.array_equal(batch.tokens[row], shard.tokens[start : start + 32])
            assert np.array_equal(batch.targets[row], shard.tokens[start + 1 : start + 33])


@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.7, 0.3)])
def test_every_state_continues_with_exactly_the_next_batch(
    tmp_path: Path, cache: Path, weights: tuple[float, float]
) -> None:
    config = two_sources(tmp_path, weights)
    corpus = corpus_of(config, cache)
    whole = list(islice(batches(corpus, config), 150))
    assert min(place["epoch"] for place in whole[-1][1]["mixture"]["sources"]) >= 2  # over the ends of epochs
    for index in range(len(whole) - 2):
        state = json.loads(json.dumps(whole[index][1]))
        resumed = list(islice(batches(corpus, config, state), 2))
        assert [found[1] for found in resumed] == [known[1] for known in whole[index + 1 : index + 3]]
        assert all(same(found[0], known[0]) for found, known in zip(resumed, whole[index + 1 :], strict=False))


def test_a_state_is_small_and_not_changed_afterwards(cache: Path) -> None:
    config = tiny_config()
    stream = batches(corpus_of(config, cache), config)
    _, state = next(stream)
    text = json.dumps(state)
    for _ in range(5):
        next(stream)
    assert json.dumps(state) == text
    assert len(text) < 300


def test_one_source_continues_at_every_position_over_three_epochs() -> None:
    whole = list(islice(positions(200, 16, [3, 0]), 40))
    for index, (_, state) in enumerate(whole[:-1]):
        assert next(positions(200, 16, [3, 0], state)) == whole[index + 1]


@pytest.mark.parametrize("weights", [(1.0, 1.0), (3.0, 1.0), (0.97, 0.03)])
def test_sources_are_mixed_exactly_by_weight(tmp_path: Path, cache: Path, weights: tuple[float, float]) -> None:
    config = two_sources(tmp_path, weights)
    share = weights[0] / sum(weights)
    first = rows = 0
    for plan, state in islice(plans(corpus_of(config, cache), config), 80):
        first, rows = first + sum(source == 0 for source, _ in plan), rows + len(plan)
        assert abs(first - share * rows) <= 1
        assert state["mixture"]["drawn"] == [first, rows - first]


def test_the_order_does_not_depend_on_the_batch_size(tmp_path: Path, cache: Path) -> None:
    rows = []
    for size in (1, 5):
        config = two_sources(tmp_path, (0.6, 0.4), f"training.batch_size={size}")
        config = config.model_copy(update={"training": config.training.model_copy(update={"batch_size": size})})
        stream = plans(corpus_of(config, cache), config)
        rows.append([row for plan, _ in islice(stream, 60 // size) for row in plan])
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    "change", ["training.seed=2", "model.context_length=16", "data.sources=[{kind='synthetic', documents=65}]"]
)
def test_a_state_of_another_stream_is_refused(cache: Path, change: str) -> None:
    config, other = tiny_config(), tiny_config(change)
    _, state = next(batches(corpus_of(config, cache), config))
    with pytest.raises(DataError, match="the saved place belongs to other text"):
        next(batches(corpus_of(other, cache), other, state))


def test_a_damaged_state_is_refused(cache: Path) -> None:
    config = tiny_config()
    corpus = corpus_of(config, cache)
    _, state = next(batches(corpus, config))
    negative = {"drawn": [-1], "sources": [{"epoch": 0, "row": 0}]}
    for damage in (
        {},
        {**state, "mixture": None},
        {**state, "mixture": negative},
        {**state, "mixture": {"drawn": [], "sources": []}},
    ):
        with pytest.raises(DataError, match="damaged"):
            next(batches(corpus, config, damage))


def test_a_source_shorter_than_a_row_is_refused(cache: Path) -> None:
    config = tiny_config("model.context_length=65536", "evaluation.tokens=65536")
    with pytest.raises(DataError, match=r"data.sources\[0\]: \d+ tokens to train on are less than one row of 65537"):
        next(batches(corpus_of(config, cache), config))
