"""Contestants are timed in turns, checked once, and the slow ones not again and again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from nanocore.bench import host, machine, race
from nanocore.bench.race import Contestant, Effort
from nanocore.errors import NanoError

EFFORT = Effort(rounds=3, seconds=1.05e-4)


@pytest.fixture(autouse=True)
def same_threads_afterwards() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Who ran how often, by a clock that advances with each run: 1 ms for `slow`, 10 us for others."""
    ran: list[tuple[str, int]] = []

    def clock() -> float:
        return sum(count * (1e-3 if name == "slow" else 1e-5) for name, count in ran)

    monkeypatch.setattr(race.time, "thread_time", clock)
    monkeypatch.setattr(race, "SLOW", 5e-4)
    return ran


def test_rounds_go_around_and_rates_are_work_over_time(order: list[tuple[str, int]]) -> None:
    both = {name: Contestant(lambda runs, name=name: order.append((name, runs)), work=50.0) for name in ("a", "b")}
    rates = race.race(both, threads=1, effort=EFFORT)
    assert order == [("a", 1), ("b", 1)] * 2 + [("a", 10), ("b", 10)] * 3
    assert rates["a"].median == pytest.approx(50 / 1e-5) and rates["a"].samples == 3


def test_who_is_slow_runs_once(order: list[tuple[str, int]]) -> None:
    both = {name: Contestant(lambda runs, name=name: order.append((name, runs)), work=1.0) for name in ("slow", "b")}
    rates = race.race(both, threads=1, effort=EFFORT)
    assert [each for each in order if each[0] == "slow"] == [("slow", 1)]
    assert (rates["slow"].samples, rates["b"].samples) == (1, 3)
    turned = dict(reversed(both.items()))
    assert [*race.race(turned, threads=1, effort=EFFORT)] == ["b", "slow"], "rows are read by their place"
    assert rates["slow"].median == pytest.approx(1000)


def test_each_result_is_checked_once_and_a_wrong_one_ends_the_race() -> None:
    checked: list[int] = []
    race.race({"a": Contestant(lambda _: None, 1.0, lambda: checked.append(1))}, threads=1, effort=EFFORT)
    assert checked == [1]

    def wrong() -> None:
        raise NanoError("the result is wrong")

    with pytest.raises(NanoError, match="wrong"):
        race.race({"a": Contestant(lambda _: None, 1.0, wrong)}, threads=1, effort=EFFORT)


def test_a_busy_machine_is_told() -> None:
    assert host.warnings({"load_average": 0.1, "cpus": 2}) == []
    assert "2.5 on 2 CPUs" in host.warnings({"load_average": 2.5, "cpus": 2})[0]
    assert machine.facts()["cpu"] and machine.facts()["cache_bytes"] > 1 << 15
