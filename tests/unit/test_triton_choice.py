"""Where Triton cannot run there is a reason; how a product is cut follows its shape or a measurement."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from typing import Any

import pytest
import torch

from nanokernels import autotune, tuned_file
from nanokernels import triton_language as language
from nanokernels import triton_tune as tune
from nanokernels.triton_planes import Planes, pack_planes
from nanokernels.triton_tune import Blocks

CPU = torch.device("cpu")
WITHOUT = """
import sys
sys.modules["triton"] = None
import torch
from nanokernels import triton_linear, triton_ops, triton_tune
from nanokernels.triton_language import Unavailable, unavailable
try:
    triton_ops.token_codes(torch.ones(1, 4))
except Unavailable as error:
    assert str(error) == unavailable(torch.device("cuda")) and "not installed" in str(error)
    print("a reason")
"""


def planes(rows: int, columns: int, groups: int = 1) -> Planes:
    return pack_planes(
        torch.zeros(rows, columns, dtype=torch.int8), torch.ones((rows, groups) if groups > 1 else (1, 1))
    )


@pytest.mark.slow
def test_without_triton_every_module_imports_and_a_launch_says_why() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    assert done.stdout == "a reason\n"


def test_tensors_on_the_cpu_are_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "installed", True)
    assert "device cpu" in language.unavailable(CPU)
    with pytest.raises(language.Unavailable, match="device cpu"):
        language.launch(None, (1,), torch.ones(1))


def test_no_kernel_rounds_a_product_together_with_a_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[dict[str, Any]] = []

    class Kernel:
        def __getitem__(self, grid: tuple[int, ...]) -> Any:
            return lambda *arguments, **options: launched.append(options)

    monkeypatch.setattr(language, "unavailable", lambda device: "")
    language.launch(Kernel(), (1,), torch.ones(1), num_warps=4)
    assert launched == [{"num_warps": 4, "enable_fp_fusion": False}]


@pytest.mark.parametrize("tokens", [1, 16, 17, 64, 65, 4096])
@pytest.mark.parametrize(
    ("rows", "columns", "groups"), [(1, 1, 1), (4096, 4096, 1), (11008, 4096, 32), (100, 30000, 1)]
)
def test_default_blocks_cover_the_matrix_and_are_legal(tokens: int, rows: int, columns: int, groups: int) -> None:
    matrix = planes(rows, columns, groups)
    blocks = tune.default_blocks(matrix, tokens, processors=132)
    assert blocks.bytes >= 32 and blocks.tokens >= 16
    assert all(size & (size - 1) == 0 for size in (blocks.rows, blocks.tokens, blocks.bytes))
    each, splits = tune.share(matrix, blocks)
    whole = groups if matrix.grouped else matrix.plane
    assert (splits - 1) * each < whole <= splits * each


def test_few_rows_are_split_until_the_gpu_is_busy() -> None:
    assert tune.default_blocks(planes(64, 16384), 1, processors=132).splits > 1
    assert tune.default_blocks(planes(32768, 1024), 1, processors=132).splits == 1


def test_a_measured_choice_is_used_for_its_shape_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "chosen", {})
    one, other, measured = planes(64, 256), planes(64, 320), Blocks(32, 16, 32, 1, 4, 2)
    tune.chosen[tune.key(one, 1)] = measured
    assert tune.blocks_for(one, 1) is measured
    assert tune.blocks_for(other, 1) is not measured and tune.blocks_for(one, 2) is not measured
    assert tune.key(one, 100) == tune.key(one, 128) != tune.key(one, 129)


def test_a_measured_choice_is_known_to_later_processes_with_the_same_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "chosen", {})
    matrix, measured = planes(64, 256), Blocks(32, 16, 32, 1, 4, 2)
    tune.remember(matrix, 1, measured)
    monkeypatch.setattr(tune, "chosen", {})  # what a new process knows
    assert tune.blocks_for(matrix, 1) == measured != tune.blocks_for(matrix, 2)
    (name,) = (key for key in autotune.inspect() if key.startswith("triton "))
    assert "on cpu: 64x256 groups 1 tokens 1" in name
    monkeypatch.setattr(tune, "chosen", {})
    monkeypatch.setattr(tune, "_version", lambda: "another")
    assert tune.blocks_for(matrix, 1) == tune.default_blocks(matrix, 1, processors=1)


@pytest.mark.parametrize("damage", [{"rows": 33}, {"bytes": "32"}, {"tokens": 8}, {"stages": None}, {"splits": True}])
def test_a_remembered_choice_that_no_kernel_could_run_is_not_taken(
    damage: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune, "chosen", {})
    matrix = planes(64, 256)
    known = asdict(Blocks(32, 16, 32, 1, 4, 2)) | damage
    tuned_file.write(tune._name(tune.key(matrix, 1)), known)
    assert tune.blocks_for(matrix, 1) == tune.default_blocks(matrix, 1, processors=1)


def test_the_fastest_candidate_wins() -> None:
    found = tune.candidates(planes(4096, 4096), 1, processors=132)
    assert len(set(found)) == len(found) > 10 and all(blocks.bytes >= 32 for blocks in found)
    best = found[7]
    assert tune.fastest(found, lambda blocks: 1.0 if blocks == best else float("inf")) == best
