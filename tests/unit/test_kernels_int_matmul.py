"""Both integer products give the same bits, so the choice between them may follow speed alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nanokernels import int_matmul as module
from nanokernels import tuned_file
from nanokernels.int_matmul import chosen_path, float_matmul, int8_matmul, int_matmul


def codes(rows: int, columns: int, largest: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-largest, largest + 1, (rows, columns), generator=generator, dtype=torch.int8)


@pytest.mark.parametrize(
    ("rows", "columns", "outputs"), [(1, 1, 1), (1, 300, 7), (17, 64, 32), (33, 129, 65), (5, 2048, 3)]
)
def test_int8_and_float32_agree_bit_for_bit_with_whole_number_arithmetic(rows: int, columns: int, outputs: int) -> None:
    x, w = codes(rows, columns, 127, 0), codes(outputs, columns, 1, 1)
    exact = (x.long() @ w.long().T).float()
    assert torch.equal(float_matmul(x, w), exact)
    assert torch.equal(int8_matmul(x, w), exact)
    assert torch.equal(int_matmul(x, w), exact)
    assert torch.equal(int_matmul(x.float(), w), exact)


def test_the_largest_sums_are_still_exact_in_float32() -> None:
    columns = module.EXACT_TERMS
    x, w = torch.full((1, columns), 127, dtype=torch.int8), torch.ones(1, columns, dtype=torch.int8)
    x[0, 0] = 126
    assert int(float_matmul(x, w)) == int(int8_matmul(x, w)) == 127 * columns - 1


def test_more_terms_than_float32_can_sum_are_refused() -> None:
    columns = module.EXACT_TERMS + 1
    with pytest.raises(ValueError, match="132104"):
        int_matmul(torch.zeros(1, columns, dtype=torch.int8), torch.zeros(1, columns, dtype=torch.int8))


def test_sizes_are_padded_to_what_cuda_accepts() -> None:
    padded = module._pad(torch.ones(3, 13, dtype=torch.int8), more_than=16)
    assert padded.shape[0] > 16 and padded.shape[0] % 8 == 0 and padded.shape[1] == 16
    assert int(padded.sum()) == 39
    assert module._pad(torch.ones(24, 16, dtype=torch.int8), more_than=16).shape == (24, 16)


def test_the_faster_path_is_measured_once_on_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that two processes, and two calls of `doctor`, do not disagree where both paths are about as fast."""
    measured: list[int] = []
    answers = iter(["int8", "float32"])
    monkeypatch.setattr(module, "_measure", lambda device, rows: measured.append(rows) or next(answers))
    device = torch.device("cpu")
    for _ in range(2):  # the second process knows the file alone
        monkeypatch.setattr(module, "_chosen", {})
        assert [chosen_path(device, rows) for rows in (1, 16, 17, 4096)] == ["int8", "int8", "float32", "float32"]
    assert measured == [1, 128]


def test_a_remembered_path_that_is_none_is_measured_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_chosen", {})
    monkeypatch.setattr(tuned_file, "read", lambda key: {"path": "int4"})
    monkeypatch.setattr(module, "_measure", lambda device, rows: "float32")
    assert chosen_path(torch.device("cpu"), 1) == "float32"


def test_the_measurement_picks_the_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    for seconds, expected in (([2.0, 1.0], "int8"), ([1.0, 2.0], "float32")):
        answers = iter(seconds)
        monkeypatch.setattr(module, "_seconds", lambda product, device, answers=answers: next(answers))
        assert module._measure(torch.device("cpu"), rows=1) == expected
