"""Token shards on disk: one flat array of tokens and the offset of each document, both memory-mapped.

NAME.tokens    little-endian uint16 (uint32 for vocabularies above 65,536): BOS, document, BOS, document, ...
NAME.offsets   little-endian int64, (documents + 1,): where each BOS stands, then the number of tokens
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Shard:
    """Tokens of many documents, each beginning with BOS. Arrays are read-only views of mapped files.

    tokens: (N,) uint16 or uint32. offsets: (documents + 1,) int64; document i is tokens[offsets[i]:offsets[i + 1]].
    """

    tokens: np.ndarray
    offsets: np.ndarray

    @classmethod
    def open(cls, folder: Path, name: str, vocab_size: int) -> Shard:
        return cls(
            _mapped(folder / f"{name}.tokens", token_dtype(vocab_size)), _mapped(folder / f"{name}.offsets", "<i8")
        )

    @property
    def documents(self) -> int:
        return len(self.offsets) - 1

    def document(self, index: int) -> np.ndarray:
        """Tokens of one document, BOS first."""
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]


class ShardWriter:
    """Appends documents to a new shard; a context manager that writes the offsets when it closes."""

    def __init__(self, folder: Path, name: str, *, vocab_size: int, bos: int) -> None:
        self._offsets_file = folder / f"{name}.offsets"
        self._handle = (folder / f"{name}.tokens").open("wb")
        self._dtype = token_dtype(vocab_size)
        self._bos = np.array([bos], dtype=self._dtype).tobytes()
        self._offsets = array("q", [0])

    def append(self, tokens: np.ndarray) -> None:
        """One document, (N,) of any integer type, without BOS."""
        self._handle.write(self._bos + tokens.astype(self._dtype).tobytes())
        self._offsets.append(self._offsets[-1] + len(tokens) + 1)

    @property
    def tokens(self) -> int:
        return self._offsets[-1]

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *_: object) -> None:
        with self._handle:
            np.array(self._offsets, dtype="<i8").tofile(self._offsets_file)


def reorder(shard: Shard, order: Sequence[int], writer: ShardWriter) -> None:
    """Writes the documents of a shard again in another order."""
    for index in order:
        writer.append(shard.document(index)[1:])


def token_dtype(vocab_size: int) -> np.dtype:
    """The smallest stored type that holds every id."""
    return np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")


def _mapped(path: Path, dtype: np.dtype | str) -> np.ndarray:
    """A read-only view of a file; plain ndarray, as slicing it is cheaper than slicing a np.memmap."""
    return np.asarray(np.memmap(path, dtype=dtype, mode="r"))
