"""llama.cpp's own product of a TQ2_0 matrix with some tokens: the ggml library that llama-cpp-python ships, through ctypes."""

from __future__ import annotations

import ctypes
import weakref
from ctypes import POINTER, c_bool, c_float, c_int, c_int64, c_size_t, c_void_p
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nanocore.bench.matrices import WEIGHT_SCALE, Matrices, Tokens
from nanocore.bench.race import Contestant
from nanocore.errors import NanoError, ResourceError
from nanocore.export.blocks import TQ2_0, pack_codes

FLOAT32, TQ2_0_TYPE = 0, int(TQ2_0.type)
PRODUCTS = 16  # of a graph for one token: a graph starts its threads once, as for all products of a model's token
NODE = 1024  # bytes of a context for the description of a tensor, and more than enough
TOLERANCE = 0.02  # relative: it quantises tokens in blocks of 256, we as a whole, and its scales are float16


class _Parameters(ctypes.Structure):
    """ggml_init_params."""

    _fields_ = [("mem_size", c_size_t), ("mem_buffer", c_void_p), ("no_alloc", c_bool)]


class Graph:
    """Products of copies of a matrix, in blocks (rows, bytes), with tokens x (N, K), `products` of them in one graph."""

    def __init__(self, blocks: np.ndarray, x: Tensor, *, copies: int, products: int, threads: int) -> None:
        library, rows, (count, columns) = _library(), len(blocks), x.shape
        values = copies * blocks.nbytes + x.nbytes + products * rows * count * x.itemsize
        nodes = copies + products + 1
        beside = nodes * NODE + library.ggml_graph_overhead_custom(2 * nodes, False)
        self._context = c_void_p(library.ggml_init(_Parameters(values + beside, None, False)))
        if not self._context:
            raise ResourceError(f"no memory for {copies} copies of a matrix in ggml")
        weakref.finalize(self, library.ggml_free, self._context)
        self._backend = c_void_p(library.ggml_backend_cpu_init())
        weakref.finalize(self, library.ggml_backend_free, self._backend)
        library.ggml_backend_cpu_set_n_threads(self._backend, threads)
        weights = [self._tensor(TQ2_0_TYPE, columns, rows, blocks) for _ in range(copies)]
        tokens = self._tensor(FLOAT32, columns, count, x.numpy())
        self._graph = library.ggml_new_graph_custom(self._context, 2 * nodes, False)
        for index in range(products):
            self._last = library.ggml_mul_mat(self._context, weights[index % copies], tokens)
            library.ggml_build_forward_expand(self._graph, self._last)
        self._shape = count, rows

    def _tensor(self, kind: int, columns: int, rows: int, values: np.ndarray) -> int:
        """A tensor of the context that holds these values."""
        library = _library()
        made = library.ggml_new_tensor_2d(self._context, kind, columns, rows)
        ctypes.memmove(library.ggml_get_data(made), values.ctypes.data, values.nbytes)
        return made

    def __call__(self, visits: int) -> None:
        """Compute the whole graph so many times. Raises NanoError where ggml refuses."""
        for _ in range(visits):
            if status := _library().ggml_backend_graph_compute(self._backend, self._graph):
                raise NanoError(f"ggml computes no product of TQ2_0: status {status}")

    def result(self) -> Tensor:
        """Of the last product, (N, M) float32."""
        count, rows = self._shape
        place = ctypes.cast(_library().ggml_get_data(self._last), POINTER(c_float))
        return torch.from_numpy(np.ctypeslib.as_array(place, (count, rows)).copy())


def contestant(tokens: Tokens, matrices: Matrices, operations: int, *, cold: bool, threads: int) -> Contestant:
    """ggml's product, with its quantiser of tokens. The matrix's columns are a multiple of 256."""
    rows, columns = matrices.codes.shape
    factors = np.full((rows, columns // TQ2_0.columns), WEIGHT_SCALE, np.float16)
    blocks = np.ascontiguousarray(pack_codes(matrices.codes.numpy(), factors, TQ2_0))
    copies = matrices.copies(blocks.nbytes) if cold else 1
    products = max(copies, PRODUCTS // len(tokens.x), 1)
    graph = Graph(blocks, tokens.x, copies=copies, products=products, threads=threads)
    check = lambda: tokens.check(graph.result(), tokens.y, "llama.cpp TQ2_0", TOLERANCE)  # noqa: E731
    return Contestant(graph, products * operations, check, openmp=True)


def usable(columns: int) -> bool:
    """Whether TQ2_0 has blocks for rows of so many columns."""
    return columns % TQ2_0.columns == 0


@cache
def _library() -> Any:
    library = import_module("llama_cpp._ggml").libggml
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "ggml_init": (c_void_p, [_Parameters]),
    "ggml_free": (None, [c_void_p]),
    "ggml_graph_overhead_custom": (c_size_t, [c_size_t, c_bool]),
    "ggml_new_tensor_2d": (c_void_p, [c_void_p, c_int, c_int64, c_int64]),
    "ggml_get_data": (c_void_p, [c_void_p]),
    "ggml_mul_mat": (c_void_p, [c_void_p, c_void_p, c_void_p]),
    "ggml_new_graph_custom": (c_void_p, [c_void_p, c_size_t, c_bool]),
    "ggml_build_forward_expand": (None, [c_void_p, c_void_p]),
    "ggml_backend_cpu_init": (c_void_p, []),
    "ggml_backend_cpu_set_n_threads": (None, [c_void_p, c_int]),
    "ggml_backend_graph_compute": (c_int, [c_void_p, c_void_p]),
    "ggml_backend_free": (None, [c_void_p]),
}
