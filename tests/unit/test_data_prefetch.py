"""Prefetching: ahead, in order, with the state of what was consumed, and with honest errors."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest

from nanocore.data.prefetch import Prefetcher, open_loader
from nanocore.data.prepare import prepare
from nanocore.data.stream import batches
from nanocore.errors import DataError
from tests.tiny import tiny_config


def numbers() -> Iterator[tuple[int, dict[str, int]]]:
    for number in count():
        yield number, {"next": number + 1}


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_order_is_that_of_the_plans_whatever_finishes_first(workers: int) -> None:
    def fetch(number: int) -> int:
        time.sleep(0.003 if number % 3 == 0 else 0.0)
        return number * 10

    with Prefetcher(numbers(), fetch, workers=workers, depth=5) as ahead:
        assert [ahead.next() for _ in range(30)] == [(number * 10, {"next": number + 1}) for number in range(30)]


@pytest.mark.parametrize(("workers", "prefetch"), [(0, 4), (1, 1), (1, 6), (3, 4)])
def test_batches_and_states_are_those_of_the_plain_stream(tmp_path: Path, workers: int, prefetch: int) -> None:
    config = tiny_config(f"data.workers={workers}", f"data.prefetch={prefetch}", "training.batch_size=9")
    corpus = prepare(config.data, cache=tmp_path)
    plain = list(islice(batches(corpus, config), 100))
    assert plain[-1][1]["mixture"]["sources"][0]["epoch"] >= 1
    state = None
    for begin in range(0, 100, 20):  # stops and starts again from the state of the last batch consumed
        with open_loader(corpus, config, state) as ahead:
            for expected, after in plain[begin : begin + 20]:
                batch, state = ahead.next()
                assert state == after
                assert np.array_equal(batch.tokens, expected.tokens)
                assert np.array_equal(batch.positions, expected.positions)


def test_threads_work_ahead_but_not_further_than_asked() -> None:
    made: list[int] = []
    enough = threading.Event()

    def fetch(number: int) -> int:
        made.append(number)
        if number == 4:
            enough.set()
        return number

    with Prefetcher(numbers(), fetch, workers=2, depth=5) as ahead:
        assert enough.wait(5)  # nobody asked yet
        time.sleep(0.02)
        assert sorted(made) == [0, 1, 2, 3, 4]
        ahead.next()


def test_waiting_is_measured() -> None:
    with Prefetcher(numbers(), lambda number: time.sleep(0.05) or number, workers=1, depth=1) as ahead:
        ahead.next()
        ahead.next()
        assert ahead.waited > 0.02
    with Prefetcher(numbers(), lambda number: number, workers=1, depth=2) as ahead:
        time.sleep(0.05)
        ahead.next()
        assert ahead.waited < 0.02


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_reaches_the_trainer_as_it_is_and_skips_nothing(workers: int) -> None:
    def fetch(number: int) -> int:
        if number == 3:
            raise DataError("broken row")
        return number

    with Prefetcher(numbers(), fetch, workers=workers, depth=4) as ahead:
        assert [ahead.next()[0] for _ in range(3)] == [0, 1, 2]
        for _ in range(2):
            with pytest.raises(DataError, match="broken row"):
                ahead.next()


def test_closing_ends_the_threads() -> None:
    before = threading.active_count()
    ahead = Prefetcher(numbers(), lambda number: number, workers=3, depth=8)
    ahead.next()
    assert threading.active_count() > before
    ahead.close()
    assert threading.active_count() == before
