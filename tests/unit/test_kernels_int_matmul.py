"""Both integer products give the same bits, so the choice between them may follow speed alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nanokernels import autotune
from nanokernels import int_matmul as module
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


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path))
    autotune.reset()
    yield
    autotune.reset()


def test_few_and_many_rows_are_measured_apart_and_remembered(measured: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that two processes, and two calls of `doctor`, do not disagree where both paths are about as fast."""
    asked: list[str] = []
    monkeypatch.setattr(
        autotune,
        "fastest",
        lambda what, ways, clock: asked.append(what) or ("int8" if "1 x 512" in what else "float32"),
    )
    device = torch.device("cpu")
    assert [chosen_path(device, rows) for rows in (1, 16, 17, 4096)] == ["int8", "int8", "float32", "float32"]
    assert [what.split(",")[1] for what in asked] == [" 1 x 512 x 512", " 128 x 512 x 512"]
    assert all(torch.__version__ in what and "cpu, one thread" in what for what in asked)


def test_the_ways_are_timed_by_the_processor_time_of_one_thread(
    measured: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting for a busy machine does not count, and the threads of the process are as before."""
    threads, before = [], torch.get_num_threads()
    product = module.float_matmul

    def interrupted(codes: Tensor, ternary: Tensor) -> Tensor:
        threads.append(torch.get_num_threads())
        time.sleep(0.02)  # what another program does to this one
        return product(codes, ternary)

    monkeypatch.setattr(module, "int8_matmul", lambda codes, ternary: [product(codes, ternary) for _ in range(8)])
    monkeypatch.setattr(module, "float_matmul", interrupted)
    monkeypatch.setattr(autotune, "SECONDS", 0.0)
    try:
        torch.set_num_threads(2)
        assert chosen_path(torch.device("cpu"), 1) == "float32"
        assert torch.get_num_threads() == 2 and set(threads) == {1}
    finally:
        torch.set_num_threads(before)
