"""Drawing tokens: greedy, temperature, top-k, top-p, seeds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nanocore.errors import DivergedError, UsageError
from nanocore.infer.sampler import Sampler, Sampling, candidates, penalised

LOGITS = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()[[2, 0, 3, 1]]  # probabilities .15, .5, .05, .3


def kept(**keys: float) -> list[int]:
    return candidates(LOGITS.double(), Sampling(temperature=1.0, **keys)).nonzero().flatten().tolist()  # type: ignore[arg-type]


def test_temperature_zero_takes_the_likeliest_token() -> None:
    sampler = Sampler(Sampling(temperature=0.0))
    assert {sampler.pick(LOGITS) for _ in range(20)} == {1}


def test_draws_follow_the_probabilities() -> None:
    sampler = Sampler(Sampling(temperature=1.0, seed=3))
    draws = torch.bincount(torch.tensor([sampler.pick(LOGITS) for _ in range(1500)]), minlength=4) / 1500
    assert draws.tolist() == pytest.approx([0.15, 0.5, 0.05, 0.3], abs=0.04)


def test_temperature_sharpens_as_a_power_of_the_probabilities() -> None:
    weights = candidates(LOGITS.double(), Sampling(temperature=0.5))
    expected = torch.tensor([0.15, 0.5, 0.05, 0.3]).double() ** 2
    assert torch.allclose(weights / weights.sum(), expected / expected.sum())
    assert candidates(LOGITS.double(), Sampling(temperature=1e-6)).tolist() == [0.0, 1.0, 0.0, 0.0]


def test_top_k_keeps_the_k_likeliest() -> None:
    assert kept(top_k=1) == [1]
    assert kept(top_k=3) == [0, 1, 3]
    assert kept(top_k=99) == kept(top_k=0) == [0, 1, 2, 3]


def test_top_p_keeps_the_fewest_tokens_that_reach_p() -> None:
    assert kept(top_p=0.4) == [1]
    assert kept(top_p=0.6) == [1, 3]
    assert kept(top_p=0.94) == [0, 1, 3]
    assert kept(top_p=1.0) == [0, 1, 2, 3]


def test_top_p_counts_only_what_top_k_left() -> None:
    """Of 0.5 and 0.3 the first is 62 %."""
    assert kept(top_k=2, top_p=0.6) == [1]
    assert kept(top_k=2, top_p=0.65) == [1, 3]


def test_the_seed_alone_decides_the_draws() -> None:
    def draws(seed: int) -> list[int]:
        sampler = Sampler(Sampling(temperature=1.0, seed=seed))
        torch.rand(7)  # the global generator plays no part
        return [sampler.pick(LOGITS) for _ in range(30)]

    assert draws(1) == draws(1) != draws(2)
    assert draws(-1) == draws(-1)


@pytest.mark.parametrize(
    "keys",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"min_p": -0.1},
        {"min_p": 1.1},
        {"repetition_penalty": 0.0},
        {"repetition_penalty": float("inf")},
        {"repetition_window": -1},
    ],
)
def test_values_out_of_range_are_refused_in_one_line(keys: dict[str, float]) -> None:
    with pytest.raises(UsageError) as caught:
        Sampling(**keys)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"temperature": "x"}, "temperature is a str, not a number"),
        ({"top_p": None}, "top_p is a NoneType, not a number"),
        ({"top_k": 2.5}, "top_k is a float, not a whole number"),
        ({"seed": True}, "seed is a bool, not a whole number"),
        ({"temperature": 10**400}, "temperature is too large"),
    ],
)
def test_what_is_no_number_is_refused_in_one_line(keys: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        Sampling(**keys)  # type: ignore[arg-type]
    assert str(caught.value) == words


def test_numbers_of_numpy_count_as_numbers() -> None:
    sampling = Sampling(temperature=np.float32(0.5), seed=np.int64(3))  # type: ignore[arg-type]
    assert sampling == Sampling(temperature=0.5, seed=3)
    assert Sampler(sampling).pick(LOGITS) == Sampler(Sampling(temperature=0.5, seed=3)).pick(LOGITS)


def test_a_broken_model_is_told_from_bad_luck() -> None:
    with pytest.raises(DivergedError):
        Sampler(Sampling()).pick(torch.tensor([0.0, float("nan")]))


def test_min_p_keeps_tokens_of_a_share_of_the_likeliest() -> None:
    """Of 0.5 that is 0.15 for 0.3 of it."""
    assert kept(min_p=0.29) == [0, 1, 3]
    assert kept(min_p=0.31) == [1, 3]
    assert kept(min_p=1.0) == [1]
    assert kept(min_p=0.0) == [0, 1, 2, 3]


def test_the_repetition_penalty_divides_positive_and_multiplies_negative_logits() -> None:
    seen = penalised(torch.tensor([2.0, -2.0, 1.0, 0.0]), torch.tensor([0, 1, 3]), 4.0)
    assert seen.tolist() == [0.5, -8.0, 1.0, 0.0]


@pytest.mark.parametrize(("window", "expected"), [(1, 0), (2, 2), (0, 2)])
def test_the_penalty_counts_the_last_tokens_of_the_text(window: int, expected: int) -> None:
    sampling = Sampling(temperature=0.0, repetition_penalty=2.0, repetition_window=window)
    logits = torch.tensor([3.0, 2.5, 2.0])
    assert Sampler(sampling).pick(logits, [0, 1]) == expected
    assert Sampler(sampling, exempt=0).pick(logits, [0, 1]) == 0
    assert Sampler(sampling).pick(logits) == 0


def test_the_distribution_is_what_pick_draws_from() -> None:
    sampling = Sampling(temperature=0.7, top_k=3, top_p=0.95, min_p=0.05, repetition_penalty=1.5, seed=2)
    sampler, text = Sampler(sampling), [0]
    wanted = sampler.distribution(LOGITS, text)
    assert float(wanted.sum()) == pytest.approx(1.0, abs=1e-12)
    draws = torch.bincount(torch.tensor([sampler.pick(LOGITS, text) for _ in range(1500)]), minlength=4) / 1500
    assert draws.tolist() == pytest.approx(wanted.tolist(), abs=0.04)
    assert Sampler(Sampling(temperature=0.0)).distribution(LOGITS).tolist() == [0.0, 1.0, 0.0, 0.0]


def test_tokens_of_no_weight_are_never_drawn() -> None:
    sampler, weights = Sampler(Sampling(seed=5)), torch.tensor([0.0, 2.0, 0.0, 1.0, 0.0]).double()
    assert {sampler.draw(weights) for _ in range(300)} == {1, 3}
