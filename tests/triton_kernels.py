"""The Triton kernels for tests: on the GPU where there is one, else in Triton's interpreter on the CPU."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
import torch

from nanokernels.triton_language import installed

MODULES = ("language", "planes", "product", "quantise", "tune", "ops", "linear")


class Kernels(NamedTuple):
    """The modules nanokernels.triton_*, and the device whose tensors they take."""

    device: torch.device
    planes: Any
    tune: Any
    ops: Any
    linear: Any


@contextmanager
def kernels() -> Iterator[Kernels]:
    """Skips the tests where Triton is missing."""
    if not installed:
        pytest.skip("not run: triton is not installed")
    if torch.cuda.is_available():
        yield _loaded(torch.device("cuda"))
        return
    with pytest.MonkeyPatch.context() as patch, _fresh_modules():
        patch.setenv("TRITON_INTERPRET", "1")
        _interpret_library(patch)
        yield _loaded(torch.device("cpu"))


def _loaded(device: torch.device) -> Kernels:
    parts = (importlib.import_module(f"nanokernels.triton_{name}") for name in Kernels._fields[1:])
    return Kernels(device, *parts)


@contextmanager
def _fresh_modules() -> Iterator[None]:
    """A kernel becomes interpreted or compiled when its module is imported: import all anew, and put the others back."""
    package = importlib.import_module("nanokernels")
    before = {name: sys.modules.get(f"nanokernels.triton_{name}") for name in MODULES}
    _put(package, dict.fromkeys(MODULES))
    try:
        yield
    finally:
        _put(package, before)


def _put(package: Any, modules: dict[str, Any]) -> None:
    for name, module in modules.items():
        if module is None:
            sys.modules.pop(f"nanokernels.triton_{name}", None)
            vars(package).pop(f"triton_{name}", None)
        else:
            sys.modules[f"nanokernels.triton_{name}"] = module
            setattr(package, f"triton_{name}", module)


def _interpret_library(patch: pytest.MonkeyPatch) -> None:
    """tl.sum and its like are kernels too, compiled ones if something has imported Triton before."""
    language = importlib.import_module("triton.language")
    compiled = importlib.import_module("triton.runtime.jit").JITFunction
    interpreted = importlib.import_module("triton.runtime.interpreter").InterpretedFunction
    for name, value in list(vars(language).items()):
        if isinstance(value, compiled):
            patch.setattr(language, name, interpreted(value.fn))


def assert_rounded(found: torch.Tensor, exact: torch.Tensor) -> None:
    """`found` is float32 `exact` rounded once, to nearest; the interpreter cuts bfloat16 off instead."""
    if found.dtype == torch.bfloat16 and found.device.type == "cpu":
        exact = (exact.view(torch.int32) & -65536).view(torch.float32)
    assert torch.equal(found.cpu(), exact.to(found.dtype))
