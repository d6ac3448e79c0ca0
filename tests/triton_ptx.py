"""What the Triton kernels compile to: python -m tests.triton_ptx [NAME ...] prints a JSON object, name to PTX. No GPU is needed.

A process of its own, because one in which the interpreter has run cannot compile any more.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

OPTIONS = {"num_warps": 4, "num_stages": 3, "enable_fp_fusion": False}  # as `launch` passes them
AMPERE, HOPPER = 80, 90  # compute capability
PRODUCT = "*i8 i32 *i8 i32 *i32 *fp32 *fp32 {out} i32 i32 i32 i32 i32"
TOKENS = "{x} *i8 *fp32 *i32 i32 i32 i32 i32"
TILES = {"ROWS": 64, "TOKENS": 16, "BYTES": 128}
ONES = {"tokens": 1, "groups": 1}  # Triton compiles a kernel of its own for an argument of 1
PLAIN = {"OFFSETS": False, "GROUPS": 1, "BLOCK": 2048, "READ": 2048}

Case = tuple[str, str, str, dict[str, Any], int]
CASES: dict[str, Case] = {
    f"product {capability} {'grouped' if grouped else 'tensor'}": (
        "product", "ternary_product", PRODUCT.format(out="*bf16"),
        TILES | {"GROUPED": grouped, "SCALED": True}, capability,
    )
    for capability in (AMPERE, HOPPER) for grouped in (False, True)
} | {
    "sums": ("product", "ternary_product", PRODUCT.format(out="*i32"), TILES | {"GROUPED": False, "SCALED": False}, HOPPER),
    "group sums": ("product", "ternary_product", PRODUCT.format(out="*fp32"), TILES | {"GROUPED": True, "SCALED": False}, HOPPER),
    "one token": ("product", "ternary_product", PRODUCT.format(out="*fp16"), ONES | TILES | {"GROUPED": False, "SCALED": True}, HOPPER),
    "one row scale": ("product", "ternary_product", PRODUCT.format(out="*fp16"), ONES | TILES | {"GROUPED": True, "SCALED": True}, HOPPER),
    "scale_sums": ("product", "scale_sums", "*i32 i32 *fp32 *fp32 *bf16 i32 i32 i32", {"GROUPED": False, "BLOCK": 1024}, HOPPER),
    "scale one": ("product", "scale_sums", "*i32 i32 *fp32 *fp32 *bf16 i32 i32 i32", {"splits": 1, "tokens": 1, "GROUPED": False, "BLOCK": 1024}, HOPPER),
    "token_codes": ("quantise", "token_codes", TOKENS.format(x="*fp32"), {"groups": 1, **PLAIN}, HOPPER),
    "padded codes": ("quantise", "token_codes", TOKENS.format(x="*bf16"), {"OFFSETS": True, "GROUPS": 4, "BLOCK": 256, "READ": 2048}, HOPPER),
    "weight codes": ("quantise", "weight_codes", "*fp32 *fp32 *i8 i32 i32 i32 i32", {"GROUPED": False, "ROWS": 2, "COLUMNS": 2048}, HOPPER),
    "weight group codes": ("quantise", "weight_codes", "*bf16 *fp32 *i8 i32 i32 i32 i32", {"GROUPED": True, "ROWS": 2, "COLUMNS": 2048}, HOPPER),
    "dequantise": ("quantise", "dequantise", "*i8 *fp32 *bf16 i32 i32 i32 i32", {"GROUPED": False, "ROWS": 2, "COLUMNS": 2048}, HOPPER),
    "dequantise groups": ("quantise", "dequantise", "*i8 *fp32 *fp16 i32 i32 i32 i32", {"GROUPED": True, "ROWS": 2, "COLUMNS": 2048}, HOPPER),
}  # fmt: skip


def ptx(module: str, kernel: str, types: str, constants: dict[str, Any], capability: int) -> str:
    """Assembly of a kernel for arguments of these types, all divisible by 16 but those that `constants` fixes."""
    compiler = importlib.import_module("triton.compiler")
    target = importlib.import_module("triton.backends.compiler").GPUTarget("cuda", capability, 32)
    function = getattr(importlib.import_module(f"nanokernels.triton_{module}"), kernel)
    arguments = types.split()
    signature = dict(zip(function.arg_names, arguments, strict=False)) | dict.fromkeys(constants, "constexpr")
    names = enumerate(function.arg_names[: len(arguments)])
    aligned = {(place,): [["tt.divisibility", 16]] for place, name in names if name not in constants}
    source = compiler.ASTSource(function, signature, constants, aligned)
    return compiler.compile(source, target=target, options=OPTIONS).asm["ptx"]


if __name__ == "__main__":
    print(json.dumps({name: ptx(*CASES[name]) for name in sys.argv[1:] or CASES}))
