"""The container of GGUF version 3, read strictly: every length is checked against the file before it is believed.

The gguf package's own reader raises whatever numpy raises on a damaged file and accepts overlapping tensors; this one
knows one error. Format: github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from nanocore.errors import FormatError
from nanocore.export.sealed import check_gguf
from nanocore.runs.text import sanitize_line

MAGIC, VERSION = b"GGUF", 3
MOST_ENTRIES = 100_000  # keys, or tensors
MOST_ITEMS = 1_000_000  # of an array: a vocabulary, or its merges
MOST_DIMS, LONGEST_NAME, LONGEST_KEY = 4, 63, 65_535
LARGEST_DIM = 2**40
SIMPLE = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 10: "<Q", 11: "<q", 12: "<d"}  # as struct
BOOL, STRING, ARRAY = 7, 8, 9


@dataclass(frozen=True)
class RawTensor:
    """A tensor as it lies in the file: its type, its shape with the slowest dimension first, its bytes."""

    type: GGMLQuantizationType
    shape: tuple[int, ...]
    data: np.ndarray


@dataclass(frozen=True)
class GgufFile:
    """The keys and the tensors of a file. Tensors are views of the mapped file and cost no memory until they are read.

    Values are bool, int, float and str; arrays are numpy arrays of numbers, or lists of str. `verified`: the file holds its
    hash, and agrees with it.
    """

    keys: Mapping[str, Any]
    tensors: Mapping[str, RawTensor]
    verified: bool


def parse_gguf(path: Path) -> GgufFile:
    """Keys and tensors of the file. Raises FormatError for anything that is not a whole and sound GGUF file, or was
    altered since this program wrote it."""
    where = sanitize_line(path.name)
    data = _mapped(path, where)
    cursor = _Cursor(data, where)
    if cursor.take(4) != MAGIC:
        raise FormatError("is no GGUF file", where=where)
    if (version := cursor.number("<I")) != VERSION:
        raise FormatError(f"is GGUF version {version}, this program reads version {VERSION}", where=where)
    tensors, keys = cursor.count(MOST_ENTRIES, 24, "tensors"), cursor.count(MOST_ENTRIES, 13, "keys")
    table = cursor.table(keys, "key", LONGEST_KEY, cursor.value)
    headers = cursor.table(tensors, "tensor", LONGEST_NAME, cursor.header)
    return GgufFile(table, _tensors(cursor, headers, _alignment(table, where)), check_gguf(path))


class _Cursor:
    """A place in the file that only moves over bytes that are there."""

    def __init__(self, data: memoryview, where: str) -> None:
        self.data, self.where, self.at = data, where, 0

    def fail(self, what: str) -> FormatError:
        return FormatError(what, where=self.where, fix="the file is damaged; fetch or write it again")

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            raise self.fail("ends in the middle")
        self.at += size
        return bytes(self.data[self.at - size : self.at])

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def count(self, most: int, smallest: int, what: str) -> int:
        """A number of things, each at least `smallest` bytes, that the rest of the file can hold."""
        found = self.number("<Q")
        if found > most or found * smallest > len(self.data) - self.at:
            raise self.fail(f"claims {found} {what}, more than it can hold")
        return found

    def text(self, longest: int) -> str:
        size = self.number("<Q")
        if size > longest:
            raise self.fail(f"holds a text of {size} bytes where {longest} fit")
        try:
            return self.take(size).decode()
        except UnicodeDecodeError:
            raise self.fail("holds a text that is not UTF-8") from None

    def table(self, count: int, kind: str, longest: int, read: Callable[[], Any]) -> dict[str, Any]:
        """`count` named things; a name is neither empty nor there twice."""
        found: dict[str, Any] = {}
        for _ in range(count):
            name = self.text(longest)
            if not name:
                raise self.fail(f"has a {kind} without a name")
            if name in found:
                raise self.fail(f"has the {kind} {sanitize_line(name, 80)!r} twice")
            found[name] = read()
        return found

    def value(self) -> Any:
        """The value of a key, behind its type."""
        kind = self.number("<I")
        if kind == ARRAY:
            return self._array()
        if kind == STRING:
            return self.text(len(self.data))
        if kind == BOOL:
            return self._bools(1)[0]
        if kind not in SIMPLE:
            raise self.fail(f"has a key of unknown type {kind}")
        return self.number(SIMPLE[kind])

    def _array(self) -> Any:
        kind = self.number("<I")
        if kind == STRING:
            return [self.text(len(self.data)) for _ in range(self.count(MOST_ITEMS, 8, "texts"))]
        if kind == BOOL:
            return self._bools(self.count(MOST_ITEMS, 1, "items"))
        if kind not in SIMPLE:
            raise self.fail(f"has an array of unknown type {kind}")
        size = struct.calcsize(SIMPLE[kind])
        return np.frombuffer(self.take(self.count(MOST_ITEMS, size, "items") * size), np.dtype(SIMPLE[kind]))

    def _bools(self, count: int) -> list[bool]:
        found = self.take(count)
        if not set(found) <= {0, 1}:
            raise self.fail("has a truth value that is neither 0 nor 1")
        return [bool(value) for value in found]

    def header(self) -> tuple[tuple[int, ...], int, int]:
        """Shape (slowest first), type and offset of a tensor."""
        dims = self.number("<I")
        if not 1 <= dims <= MOST_DIMS:
            raise self.fail(f"has a tensor of {dims} dimensions")
        shape = tuple(self.number("<Q") for _ in range(dims))[::-1]
        if not all(1 <= size <= LARGEST_DIM for size in shape):
            raise self.fail("has a tensor with an impossible dimension")
        return shape, self.number("<I"), self.number("<Q")


def _mapped(path: Path, where: str) -> memoryview:
    """The file's bytes, mapped. A pipe or a device is refused, an empty file has none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if not S_ISREG(status.st_mode):
                raise FormatError("is not a regular file", where=where)
            return memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) if status.st_size else b"")
        finally:
            os.close(descriptor)
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror}", where=where) from None


def _alignment(keys: Mapping[str, Any], where: str) -> int:
    found = keys.get("general.alignment", 32)
    if type(found) is not int or not 8 <= found <= 65_536 or found & found - 1:
        raise FormatError("has an alignment that is no power of two from 8 to 65536", where=where)
    return found


def _tensors(cursor: _Cursor, headers: dict[str, Any], alignment: int) -> dict[str, RawTensor]:
    """The tensors' bytes: one after another as they are listed, each at the next aligned place, up to the end."""
    start = _padded(cursor.at, alignment)
    end = place = 0
    found: dict[str, RawTensor] = {}
    for name, (shape, number, offset) in headers.items():
        kind, size = _size(cursor, shape, number)
        if offset != place:
            raise cursor.fail(f"has the tensor {sanitize_line(name, 80)!r} at the wrong place")
        end = start + offset + size
        if end > len(cursor.data):
            raise cursor.fail("ends before its last tensor does")
        data = np.frombuffer(cursor.data, np.uint8, size, start + offset)
        found[name], place = RawTensor(kind, shape, data), _padded(offset + size, alignment)
    if headers and not end <= len(cursor.data) <= start + place:  # some writers leave the last padding out
        raise cursor.fail("has bytes behind its last tensor")
    return found


def _size(cursor: _Cursor, shape: tuple[int, ...], number: int) -> tuple[GGMLQuantizationType, int]:
    try:
        kind = GGMLQuantizationType(number)
    except ValueError:
        what = f"has a tensor of type {number}, which the gguf package here does not know"
        raise FormatError(what, where=cursor.where, fix="a newer version of that package may") from None
    columns, size = GGML_QUANT_SIZES[kind]
    if shape[-1] % columns:
        raise cursor.fail(f"has a {kind.name} tensor whose rows are no multiple of {columns}")
    count = 1
    for dim in shape:
        count *= dim
    return kind, count // columns * size


def _padded(place: int, alignment: int) -> int:
    return -(-place // alignment) * alignment
