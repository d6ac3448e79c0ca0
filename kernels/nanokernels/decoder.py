"""The native decoder through ctypes: descriptions of a model's parts, and the object that reads tokens with them.

The structures mirror csrc/decoder.h, which explains their fields. This module knows no particular model: whoever has one
fills the structures through a `Tables`, which keeps the tensors alive that they point to.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Iterable, Sequence
from ctypes import POINTER, c_float, c_int32, c_int64, c_void_p
from functools import cache
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from nanokernels import native, native_ops
from nanokernels.arena import Arena
from nanokernels.packing import PackedTernary

Number = Literal["float32", "bfloat16", "float16", "int8"]
Kind = Literal["lite", "sinkhorn", "unconstrained"]
PADDED = 16  # columns of dense matrices are padded to a multiple of it
HEAD_ROWS = 4  # NK_HEAD_ROWS of csrc/decoder.h: threads share the head by so many
LARGEST_CODE = 127


class Dense(ctypes.Structure):
    """nk_dense."""

    _fields_ = [("data", c_void_p), ("scale", c_void_p)] + [
        (name, c_int32) for name in ("rows", "columns", "stride", "number")
    ]


class Connection(ctypes.Structure):
    """nk_connection."""

    _fields_ = [("maps", c_void_p), ("phi", Dense), ("constants", c_void_p), ("alpha", c_void_p)] + [
        (name, c_int32) for name in ("kind", "mixes")
    ]


class Attention(ctypes.Structure):
    """nk_attention."""

    _fields_ = [(name, native.Matrix) for name in ("query", "key", "value", "output")] + [
        (name, c_void_p) for name in ("query_norm", "key_norm", "sub_norm")
    ]


class Delta(ctypes.Structure):
    """nk_delta."""

    _fields_ = [
        *((name, native.Matrix) for name in ("query", "key", "value", "gate", "output")),
        *((name, Dense) for name in ("strength", "decay")),
        *((name, c_void_p) for name in ("decay_bias", "rate", "convolution", "head_norm")),
        *((name, c_int32) for name in ("heads", "head_dim", "taps")),
    ]


class FeedForward(ctypes.Structure):
    """nk_feed_forward."""

    _fields_ = [("gate", native.Matrix), ("up", native.Matrix), ("down", native.Matrix), ("sub_norm", c_void_p)]


class Experts(ctypes.Structure):
    """nk_experts."""

    _fields_ = [
        ("experts", POINTER(FeedForward)),
        ("shared", POINTER(FeedForward)),
        ("router", Dense),
        ("bias", c_void_p),
        *((name, c_int32) for name in ("count", "active", "normalised")),
    ]


class Block(ctypes.Structure):
    """nk_block."""

    _fields_ = [
        ("attention", POINTER(Attention)),
        ("delta", POINTER(Delta)),
        ("feed_forward", POINTER(FeedForward)),
        ("experts", POINTER(Experts)),
        ("mixer_norm", c_void_p),
        ("feed_forward_norm", c_void_p),
        ("mixer_connection", Connection),
        ("feed_forward_connection", Connection),
    ]


class Model(ctypes.Structure):
    """nk_model."""

    _fields_ = [
        ("blocks", POINTER(Block)),
        *((name, c_void_p) for name in ("embedding", "norm", "gate_norm", "gate", "gate_bias")),
        ("head", Dense),
        *((name, c_int32) for name in ("block_count", "width", "streams", "vocabulary")),
        *((name, c_int32) for name in ("heads", "kv_heads", "head_dim", "turns", "before", "after")),
        ("exit_threshold", c_float),
        ("eps", c_float),
    ]


class Tables:
    """Turns tensors into what the structures hold, and keeps them alive; so many threads will read them."""

    def __init__(self, threads: int = 1) -> None:
        self._kept: list[object] = []
        self._arena = Arena(threads)
        self.nbytes = 0  # of all tensors

    def floats(self, tensor: Tensor | None) -> int | None:
        """The address of a tensor's values in float32; None for None."""
        return None if tensor is None else self._address(tensor.detach().to("cpu", torch.float32).contiguous())

    def matrices(self, *packed: PackedTernary) -> list[native.Matrix]:
        """Packed ternary matrices that the decoder shares out as one; the threads copy what they will read."""
        placed = native_ops.place(packed, self._arena)
        for each in placed:
            self._address(each.data), self._address(each.scale)
        return [native_ops.matrix(each) for each in placed]

    def dense(self, weight: Tensor) -> Dense:
        """A dense matrix (rows, columns) in float32."""
        data = _padded(weight.detach().to("cpu", torch.float32))
        return Dense(self._address(data), None, *weight.shape, data.shape[1], get_args(Number).index("float32"))

    def head(self, weight: Tensor, number: Number) -> Dense:
        """The output head (rows, columns) in the given numbers, int8 with a scale for each row; placed on several nodes."""
        weight, scale = weight.detach().to("cpu", torch.float32), None
        if number == "int8":
            scale = weight.abs().amax(dim=1).div(LARGEST_CODE)
            weight = weight.div(scale.clamp(min=torch.finfo(torch.float32).tiny)[:, None]).round()
        data = _padded(weight.to(getattr(torch, number)))
        if self._arena.parted:
            copy = native_ops.copy([data], [HEAD_ROWS * data.stride(0) * data.itemsize], self._arena)[0]
            data = copy.view(data.dtype).view(data.shape)
        scales = self.floats(scale)
        return Dense(self._address(data), scales, *weight.shape, data.shape[1], get_args(Number).index(number))

    def pointer(self, structure: Any) -> Any:
        """A pointer to a structure, or to the first of an array of them."""
        self._kept.append(structure)
        return ctypes.pointer(structure)

    def array(self, structures: Iterable[Any]) -> Any:
        """A pointer to the first of some structures of one kind, copied side by side."""
        listed: list[Any] = list(structures)
        kind: Any = type(listed[0])
        made = (kind * len(listed))(*listed)
        self._kept.append(made)
        return ctypes.cast(made, POINTER(kind))

    def _address(self, tensor: Tensor) -> int:
        self._kept.append(tensor)
        self.nbytes += tensor.nbytes
        return tensor.data_ptr()


class Decoder:
    """Reads tokens of one sequence with the model that `model` describes and `tables` keeps alive.

    It has room for `capacity` tokens: none at first, and more by `reserve`. Raises OSError where the native library is
    missing, MemoryError without memory.
    """

    def __init__(self, model: Model, tables: Tables, *, threads: int = 1) -> None:
        self._library, self._tables = _library(), tables
        self.path = self._library.nk_active().contents.name.decode()  # the instruction set it will keep to
        self.capacity, self.vocabulary, self.width = 0, int(model.vocabulary), int(model.width)
        self._angles: tuple[Tensor, ...] = ()
        address = self._library.nk_decoder_new(ctypes.byref(model), native_ops.pool(threads))
        if not address:
            raise MemoryError("no memory for a decoder")
        self._decoder = c_void_p(address)
        weakref.finalize(self, self._library.nk_decoder_free, self._decoder)

    def reserve(self, kept: int, cosines: Tensor, sines: Tensor) -> None:
        """Make room for as many tokens as there are angles (tokens, head_dim / 2) of rotary positions, more than before.

        The first `kept` of the tokens that were read stay. Raises MemoryError; then all is as it was.
        """
        angles = tuple(part.to("cpu", torch.float32).contiguous() for part in (cosines, sines))
        addresses = [part.data_ptr() for part in angles]
        if not self._library.nk_decoder_reserve(self._decoder, len(cosines), kept, *addresses):
            raise MemoryError(f"no memory for a text of {len(cosines)} tokens")
        self._angles, self.capacity = angles, len(cosines)

    @property
    def nbytes(self) -> int:
        """Bytes of caches and working memory, of which the system gives what is used."""
        return int(self._library.nk_decoder_bytes(self._decoder))

    def forward(self, tokens: Sequence[int], start: int, wanted: int = 1) -> tuple[Tensor, Tensor]:
        """Logits (wanted, V) and final hidden states (wanted, C) of the last `wanted` tokens, float32.

        The tokens follow the first `start` that earlier calls have read. Raises ValueError for what does not fit.
        """
        self._check(tokens, start, wanted)
        logits, hidden = torch.empty(wanted, self.vocabulary), torch.empty(wanted, self.width)
        self._library.nk_decoder_forward(
            self._decoder,
            (c_int32 * len(tokens))(*tokens),
            len(tokens),
            start,
            wanted,
            logits.data_ptr(),
            hidden.data_ptr(),
        )
        return logits, hidden

    def _check(self, tokens: Sequence[int], start: int, wanted: int) -> None:
        """C looks at nothing of this again."""
        if not 1 <= wanted <= len(tokens):
            raise ValueError(f"{wanted} logits are wanted of {len(tokens)} tokens")
        if start < 0 or start + len(tokens) > self.capacity:
            raise ValueError(f"{len(tokens)} tokens after {start} do not fit a cache of {self.capacity}")
        if min(tokens) < 0 or max(tokens) >= self.vocabulary:
            wrong = next(token for token in tokens if not 0 <= token < self.vocabulary)
            raise ValueError(f"token {wrong} is not in the vocabulary of {self.vocabulary}")


def _padded(weight: Tensor) -> Tensor:
    """(rows, columns) contiguous, with columns of zeros up to a multiple of 16."""
    columns = weight.shape[1]
    return torch.nn.functional.pad(weight, (0, -columns % PADDED)) if columns % PADDED else weight.contiguous()


@cache
def _library() -> ctypes.CDLL:
    found = native.find()
    if found.library is None:
        raise OSError(f"no native kernels: {found.reason}")
    library = found.library
    library.nk_decoder_new.restype, library.nk_decoder_new.argtypes = c_void_p, [POINTER(Model), c_void_p]
    library.nk_decoder_reserve.restype = c_int32
    library.nk_decoder_reserve.argtypes = [c_void_p, c_int32, c_int32, c_void_p, c_void_p]
    library.nk_decoder_free.restype, library.nk_decoder_free.argtypes = None, [c_void_p]
    library.nk_decoder_bytes.restype, library.nk_decoder_bytes.argtypes = c_int64, [c_void_p]
    library.nk_decoder_forward.restype = None
    library.nk_decoder_forward.argtypes = [c_void_p, POINTER(c_int32), c_int32, c_int32, c_int32, c_void_p, c_void_p]
    return library
