"""Measures of single residual maps, on maps whose values are known."""

from __future__ import annotations

import math

import pytest
import torch

from nanocore.analysis.stream_maps import (
    MOST_TOKENS,
    composite_gains,
    imbalance,
    least_column_sum,
    mixing_entropy,
    orthogonality_error,
    second_eigenvalue,
)

EVEN = torch.full((4, 4), 0.25)
SWAP = torch.eye(4)[[1, 0, 3, 2]]


def test_composite_gains_are_the_largest_row_and_column_sum() -> None:
    assert composite_gains(torch.tensor([[1.0, 2.0], [-3.0, 0.5]])) == (3.5, 4.0)
    two_tokens = torch.stack((torch.eye(2), 3 * torch.eye(2)))
    assert composite_gains(two_tokens) == (2.0, 2.0)
    assert composite_gains(None) == (1.0, 1.0)


def test_the_gain_is_taken_token_by_token_so_that_opposite_signs_do_not_cancel() -> None:
    one, other = torch.tensor([[1.0, 0.0], [0.0, 3.0]]), torch.tensor([[-4.0, -2.0], [0.0, -1.0]])
    assert (composite_gains(one), composite_gains(other)) == ((3.0, 3.0), (6.0, 4.0))
    assert composite_gains(torch.stack((one, other))) == ((3 + 6) / 2, (3 + 4) / 2)


def test_the_least_column_sum_is_that_of_the_worst_token() -> None:
    assert least_column_sum(torch.stack((torch.eye(2), torch.tensor([[0.9, 0.1], [0.9, 0.1]])))) == pytest.approx(0.2)
    assert least_column_sum(None) == 1.0


@pytest.mark.parametrize(
    ("res", "entropy", "error", "second"),
    [(torch.eye(4), 0.0, 0.0, 1.0), (SWAP, 0.0, 0.0, 1.0), (EVEN, math.log(4), math.sqrt(3), 0.0)],
    ids=["identity", "permutation", "even"],
)
def test_measures_of_known_maps(res: torch.Tensor, entropy: float, error: float, second: float) -> None:
    assert float(mixing_entropy(res)) == pytest.approx(entropy, abs=1e-6)
    assert float(orthogonality_error(res)) == pytest.approx(error, abs=1e-6)
    assert second_eigenvalue(res) == pytest.approx(second, abs=1e-6)
    assert second_eigenvalue(0.5 * torch.eye(4) + 0.5 * EVEN) == pytest.approx(0.5)


def test_signs_do_not_make_an_entropy_of_shares_negative() -> None:
    assert float(mixing_entropy(torch.tensor([[-1.0, 1.0], [0.0, 0.0]]))) == pytest.approx(math.log(2) / 2)


def test_eigenvalues_of_many_tokens_are_sampled_and_of_broken_maps_not_a_number() -> None:
    shares = torch.rand(3, 1000, 1, 1, generator=torch.Generator().manual_seed(0))
    found = second_eigenvalue((1 - shares) * torch.eye(4) + shares * EVEN)
    assert MOST_TOKENS < 3000 and found == pytest.approx(float((1 - shares).mean()), abs=0.03)
    assert math.isnan(second_eigenvalue(torch.full((2, 2), math.inf)))


def test_imbalance_is_zero_for_equal_entries_and_has_no_scale() -> None:
    assert float(imbalance(torch.tensor([0.3, 0.3]))) == 0.0
    assert float(imbalance(torch.tensor([3.0, 1.0]))) == float(imbalance(torch.tensor([6.0, 2.0]))) == 0.5
