"""The loops of the VNNI kernels on any machine: their own sources and tiles, on vectors in plain C.

What remains for a machine with VNNI is a handful of intrinsics and one instruction, whose encoding is looked at here.
"""

from __future__ import annotations

import ctypes
import platform
import re
import shutil
import subprocess

import pytest
import torch

from nanokernels import build, native, native_ops, reference
from nanokernels.packing import pack
from nanokernels.plain import token_codes
from nanokernels.reference import Layout
from tests.quick import checkered
from tests.unit.test_kernels_exact import exact, random_codes

pytestmark = pytest.mark.skipif(not shutil.which("cc") or native.find().library is None, reason="needs a C compiler")
LAYOUTS: tuple[Layout, ...] = ("t2", "t5")
UNDEFINED_TRAPS = [
    "-fsanitize=undefined",
    "-fsanitize-undefined-trap-on-error",
]  # the process dies of undefined behaviour
COMPILE = ["cc", "-std=gnu11", "-ffp-contract=off", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", "-Wno-psabi"]


@pytest.fixture(scope="module", params=[256, 512])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> native.Isa:
    """The kernels of a vector width as vec_scalar.h plays them."""
    target = tmp_path_factory.mktemp("model") / "model.so"
    flags = ["-O0", *UNDEFINED_TRAPS, f"-DNK_MODEL={request.param}", "-o", str(target)]
    subprocess.run([*COMPILE, *flags, str(build.CSRC / "isa_scalar.c")], check=True)
    return native.Isa.in_dll(ctypes.CDLL(str(target)), "nk_scalar")


@pytest.mark.parametrize(("layout", "shape"), checkered(LAYOUTS, [(1, 1), (63, 4), (81, 72), (200, 1064)]))
def test_sums_are_exact(model: native.Isa, layout: Layout, shape: tuple[int, int]) -> None:
    rows, columns = shape
    codes = random_codes(rows, columns, 1)
    for groups in (groups for groups in (1, 2) if columns % (4 * groups) == 0 or groups == 1):
        packed = pack(codes, torch.ones(rows, groups), layout)
        for count in (1, 2, 3, 4, 5, 6, 7, 20):
            x, tokens = random_codes(count, columns, 127), native_ops.TokenCodes(count, columns, groups)
            tokens.codes[:, :columns] = x
            native_ops.library().nk_sum_codes(tokens.struct)
            out, matrix = torch.empty(groups, count, rows, dtype=torch.int32), native_ops.matrix(packed)
            native_ops.library().nk_int_sums_all(ctypes.byref(model), None, matrix, tokens.struct, out.data_ptr())
            assert torch.equal(out, exact(x, codes, groups)), (groups, count)


@pytest.mark.parametrize("groups", [0, 3])
def test_outputs_are_those_of_the_reference(model: native.Isa, groups: int) -> None:
    codes, x = random_codes(150, 24, 1), torch.randn(8, 24)
    packed = pack(codes, torch.rand(150, groups) if groups else torch.rand(1, 1))
    tokens, y = native_ops.TokenCodes(8, 24, packed.groups), torch.empty(8, 150)
    model.quantise(x.data_ptr(), 24, tokens.struct)
    assert torch.equal(tokens.codes.float(), token_codes(x).codes)
    matrix = native_ops.matrix(packed)
    native_ops.library().nk_multiply_all(ctypes.byref(model), None, matrix, tokens.struct, y.data_ptr(), 150)
    sums = reference.int_sums(tokens.codes.numpy(), codes.numpy(), packed.groups)
    expected = torch.from_numpy(reference.scaled(sums, packed.scale.numpy(), tokens.scales.unsqueeze(1).numpy()))
    torch.testing.assert_close(y, expected, rtol=1e-6, atol=1e-5)


@pytest.mark.skipif(platform.machine() != "x86_64" or not shutil.which("objdump"), reason="needs x86-64 and objdump")
def test_the_dot_product_is_encoded_for_its_machines() -> None:
    """EVEX (62) for AVX-512; VEX (c4) for AVX-VNNI, whose machines may lack AVX-512."""
    library = native_ops.library()._name
    text = subprocess.run(["objdump", "-d", library], capture_output=True, text=True, check=True).stdout
    dots = [line for line in text.splitlines() if "vpdpbusd" in line]
    for registers, encoding in (("zmm", r"\t62 [0-9a-f ]+ 50 "), ("ymm", r"\tc4 [0-9a-f ]+ 50 ")):
        of_width = [line for line in dots if registers in line]
        assert len(of_width) > 50
        assert all(re.search(encoding, line) and line.count(registers) == 3 for line in of_width)
    assert not any("xmm" in line for line in dots)
