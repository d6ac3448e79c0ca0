"""The same file read by our engine and by llama.cpp: tokens in, logits out."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from nanocore.infer.native_decoder import NativeDecoder
from nanocore.infer.packed_model import PackedModel
from nanocore.runs.text import sanitize_line

OURS, THEIRS = "ours", "llama.cpp"


class Side(Protocol):
    """One text is read at a time."""

    def restart(self) -> None:
        """Forget what was read."""
        ...

    def read(self, tokens: Sequence[int]) -> Tensor:
        """Logits (V,) after tokens that follow those read before."""
        ...


class Ours:
    """Our engine's native backend."""

    def __init__(self, model: PackedModel, threads: int) -> None:
        decoder = NativeDecoder(model, threads=threads)
        self.restart, self.read = decoder.reset, decoder.forward


class Theirs:
    """llama.cpp as llama-cpp-python sets it up, but for the number of threads."""

    def __init__(self, path: Path, context: int, threads: int) -> None:
        llama_cpp = import_module("llama_cpp")
        model = llama_cpp.Llama(str(path), n_ctx=context, n_threads=threads, n_threads_batch=threads, verbose=False)
        self.restart, self._model, self._logits = model.reset, model, llama_cpp.llama_get_logits_ith

    def read(self, tokens: Sequence[int]) -> Tensor:
        self._model.eval(tokens)
        return _floats(self._logits(self._model.ctx, -1), self._model.n_vocab())


def absent() -> str:
    """Why the other side is not there; empty when it is."""
    try:
        import_module("llama_cpp")
    except ModuleNotFoundError as error:
        missing = "is not installed" if error.name == "llama_cpp" else f"lacks {error.name}"
        return f"not run: llama-cpp-python {missing}"
    except (ImportError, OSError, RuntimeError) as error:  # its library does not fit this machine
        return f"not run: llama-cpp-python cannot be loaded: {sanitize_line(str(error), 200)}"
    return ""


def _floats(pointer: Any, size: int) -> Tensor:
    address = ctypes.cast(pointer, ctypes.c_void_p).value
    assert address is not None
    return torch.frombuffer((ctypes.c_float * size).from_address(address), dtype=torch.float32).clone()
