"""The Triton kernels compile for GPUs, which needs none: the interpreter accepts more than the compiler does."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from nanokernels.triton_language import installed
from tests.triton_ptx import AMPERE, CASES, HOPPER

pytestmark = pytest.mark.skipif(not installed, reason="not run: triton is not installed")

INT8_PRODUCT = {
    AMPERE: r"mma\.sync\S*\.s32\.s8\.s8\.s32",
    HOPPER: r"wgmma\.mma_async\S*\.s32\.s8\.s8",
}


def compiled(*names: str) -> dict[str, str]:
    command = [sys.executable, "-m", "tests.triton_ptx", *names]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def assert_fast_product(text: str, capability: int) -> None:
    assert re.search(INT8_PRODUCT[capability], text), "int8 tensor cores"
    assert re.search(r"cp\.async\.cg\.shared\.global.* 0x10", text), "weights read in pieces of 16 bytes"
    assert len(re.findall(r"and\.b32", text)) > 40, "four codes leave their bytes at once"
    assert not re.search(r"(and|shl|shr)\.[bsu]16|cvt\.\w+\.s8", text), "no code is unpacked by itself"


@pytest.mark.slow
def test_kernels_compile_to_the_instructions_they_are_made_for() -> None:
    text = compiled(f"product {HOPPER} tensor", "token_codes")
    assert_fast_product(text[f"product {HOPPER} tensor"], HOPPER)
    assert "div.rn.f32" in text["token_codes"] and "div.full" not in text["token_codes"], "IEEE division"
    assert "fma.rn.f32" not in text["token_codes"], "products rounded before they are rounded to codes"


@pytest.mark.slow
def test_every_kernel_compiles() -> None:
    text = compiled()
    assert set(text) == set(CASES) and all(".entry" in ptx for ptx in text.values())
    for capability in INT8_PRODUCT:
        for kind in ("tensor", "grouped"):
            assert_fast_product(text[f"product {capability} {kind}"], capability)
