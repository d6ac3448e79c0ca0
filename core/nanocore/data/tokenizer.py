"""What every tokenizer here guarantees: each id stands for known bytes, and any text survives encode then decode.

Bits per byte and the held-out text are computed from those bytes, so a tokenizer that loses or
changes text is refused when it is loaded. Special tokens stand for no bytes and never come out of text.
"""

from __future__ import annotations

import codecs
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import numpy as np

from nanocore.config.schema import BYTES_VOCABULARY
from nanocore.errors import DataError

BOS_TEXT = "<|bos|>"
BYTES_FOR_SMALL = 'for a small text set data.tokenizer = "bytes" and data.vocab_size = 0'
BYTES_SCHEMA = 1


class Tokenizer(ABC):
    """A lossless map between text and token ids.

    Attributes:
        bos: id of the token that begins each document; never produced by `encode`.
        pieces: the bytes of each id, length V; empty for special tokens.
        byte_lengths: (V,) int32, length of each piece.
    """

    def __init__(self, pieces: Sequence[bytes], bos: int) -> None:
        self.bos = bos
        self.pieces = list(pieces)
        self.byte_lengths = np.array([len(piece) for piece in self.pieces], dtype=np.int32)

    @property
    def vocab_size(self) -> int:
        return len(self.pieces)

    def encode(self, text: str) -> np.ndarray:
        """Token ids of one text, (N,) uint32, without BOS."""
        return self.encode_batch([text])[0]

    @abstractmethod
    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Token ids of each text, (N_i,) uint32, without BOS; uses all cores where that helps."""

    @abstractmethod
    def to_json(self) -> str:
        """The whole tokenizer as text; `from_json` makes an equal one of it."""

    def bytes_of(self, ids: Iterable[int]) -> bytes:
        """The exact bytes that the ids stand for."""
        return b"".join([self.pieces[index] for index in ids])

    def decode(self, ids: Iterable[int]) -> str:
        """Text of the ids; bytes that are not UTF-8 become U+FFFD."""
        return self.bytes_of(ids).decode("utf-8", "replace")


class ByteTokenizer(Tokenizer):
    """The 256 bytes and BOS (id 256)."""

    def __init__(self) -> None:
        super().__init__([*(bytes([value]) for value in range(256)), b""], bos=BYTES_VOCABULARY - 1)

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        return [np.frombuffer(text.encode(), dtype=np.uint8).astype(np.uint32) for text in texts]

    def to_json(self) -> str:
        return json.dumps({"schema": BYTES_SCHEMA, "type": "bytes"})


class StreamDecoder:
    """Decodes ids one after another; a character cut between two tokens waits for its last byte."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._pieces = tokenizer.pieces
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, index: int) -> str:
        """The text completed by this id, possibly empty."""
        return self._decoder.decode(self._pieces[index])

    def finish(self) -> str:
        """What an unfinished character leaves behind."""
        return self._decoder.decode(b"", final=True)


def from_json(text: str, *, where: str = "tokenizer.json") -> Tokenizer:
    """A tokenizer from its JSON: ours for bytes, or a Hugging Face tokenizer.json.

    Raises DataError, naming `where`, for text that is neither or that does not keep every byte.
    """
    if len(text) < 200 and '"bytes"' in text:
        return _bytes_from_json(text, where)
    from nanocore.data.byte_level import ByteLevelTokenizer  # loads a native library: only when needed

    return ByteLevelTokenizer.parse(text, where=where)


def _bytes_from_json(text: str, where: str) -> ByteTokenizer:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if found != {"schema": BYTES_SCHEMA, "type": "bytes"}:
        raise DataError("this is not a tokenizer that this version knows", where=where)
    return ByteTokenizer()
