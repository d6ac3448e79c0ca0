"""The kernels of 64-bit ARM, cross-compiled and run under an emulator: exact like all others."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from nanokernels import build, reference
from nanokernels.plain import token_codes
from nanokernels.reference import Layout
from tests.unit.test_kernels_exact import random_codes

COMPILER = os.environ.get("AARCH64_CC", "aarch64-linux-gnu-gcc")
EMULATOR = os.environ.get("AARCH64_EMULATOR", "qemu-aarch64")
SOURCES = [Path(__file__).parents[1] / "native/products.c", *(p for p in build.sources() if "decoder" not in p.name)]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which(COMPILER) and shutil.which(EMULATOR)), reason=f"needs {COMPILER} and {EMULATOR}"
    ),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("neon") / "products"
    flags = [*build.FLAGS, "-static", "-Wall", "-Wextra", "-Werror", f"-I{build.CSRC}", "-o", str(target)]
    subprocess.run([COMPILER, *flags, *map(str, SOURCES), "-lpthread", "-lm"], check=True)
    return target


@pytest.mark.parametrize("path", ["neon", "scalar"])
@pytest.mark.parametrize("layout", ["t2", "t5"])
@pytest.mark.parametrize(
    ("rows", "columns", "groups"), [(1, 1, 0), (65, 7, 1), (81, 72, 2), (130, 1064, 0), (200, 2048, 4)]
)
def test_products_are_exact(program: Path, path: str, layout: Layout, rows: int, columns: int, groups: int) -> None:
    codes = random_codes(rows, columns, 1).numpy()
    scale = np.random.default_rng(0).random((groups, rows) if groups else (1, 1), np.float32)
    for tokens in (1, 2, 3, 7):
        x = torch.randn(tokens, columns, generator=torch.Generator().manual_seed(tokens)) * 1e3
        x[0] = torch.where(torch.arange(columns) % 2 == 0, 127.0, -0.5)  # extreme codes and ties
        given = [reference.pack_codes(codes, layout).tobytes(), scale.tobytes(), x.numpy().tobytes()]
        sizes = [str(number) for number in ({"t2": 2, "t5": 5}[layout], rows, columns, groups, tokens)]
        command = [EMULATOR, str(program), path, *sizes]
        done = subprocess.run(command, input=b"".join(given), capture_output=True, check=True).stdout
        expected = token_codes(x)
        stride, count = -(-columns // 4) * 4, max(groups, 1)
        token, rest = np.frombuffer(done[: tokens * stride], np.int8), done[tokens * stride :]
        assert np.array_equal(token.reshape(tokens, stride)[:, :columns], expected.codes.to(torch.int8).numpy())
        assert rest[: 4 * tokens] == expected.scale.numpy().tobytes()
        sums = reference.int_sums(expected.codes.to(torch.int8).numpy(), codes, count)
        end = 4 * (tokens + sums.size)
        assert rest[4 * tokens : end] == sums.astype(np.int32).tobytes()
        y = np.frombuffer(rest[end:], np.float32).reshape(tokens, rows)
        assert np.allclose(y, reference.scaled(sums, scale, expected.scale.numpy()), rtol=1e-6, atol=1e-3)


def test_the_worst_case_does_not_overflow(program: Path) -> None:
    columns = 99_000
    layouts: dict[Layout, str] = {"t2": "2", "t5": "5"}
    for layout, number in layouts.items():
        codes = np.ones((81, columns), np.int8)
        x = np.full((1, columns), -3.0, np.float32)
        given = reference.pack_codes(codes, layout).tobytes() + np.ones(1, np.float32).tobytes() + x.tobytes()
        command = [EMULATOR, str(program), "neon", number, "81", str(columns), "0", "1"]
        done = subprocess.run(command, input=given, capture_output=True, check=True).stdout
        assert (np.frombuffer(done[columns + 4 : columns + 4 + 81 * 4], np.int32) == -127 * columns).all()
