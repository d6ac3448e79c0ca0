"""Byte-level tokenizers in the Hugging Face tokenizer.json form: the ones trained here and given ones.

Byte-level (GPT-2): each byte is written as one printable character, and tokens are strings of those.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tokenizers

from nanocore.data.tokenizer import BOS_TEXT, Tokenizer
from nanocore.errors import DataError
from nanocore.files import read_regular
from nanocore.limits import TOKENIZER_BYTES, VOCABULARY
from nanocore.runs.text import sanitize_line

# Names under which published tokenizers keep the token that begins a text, most explicit first.
BOS_NAMES = (
    BOS_TEXT,
    "<|begin_of_text|>",
    "<｜begin▁of▁sentence｜>",
    "<|startoftext|>",
    "<s>",
    "<bos>",
    "[BOS]",
    "<|endoftext|>",
)
# Every byte that UTF-8 can hold, runs of white space, digits, and letters of several scripts.
PROBE = "".join(
    [
        *map(chr, range(0x800)),
        *(chr(max(lead << 12, 0x800)) for lead in range(16)),
        *(chr(max(lead << 18, 0x10000)) for lead in range(5)),
        "  two  spaces \r\n\r\n\ttab 1234567 It's naïve 漢字 👩‍💻 " + BOS_TEXT,
    ]
)


class ByteLevelTokenizer(Tokenizer):
    """Wraps a Hugging Face tokenizer whose vocabulary is made of bytes.

    Normalisation, truncation, padding and added prefixes are switched off, so that text survives as it
    is, and dropout of merges, so that a text always has the same tokens; special tokens are not recognised in text.
    Raises DataError where text would still be changed.
    """

    def __init__(self, inner: tokenizers.Tokenizer, *, where: str) -> None:
        inner.no_truncation()
        inner.no_padding()
        inner.normalizer = None  # type: ignore[assignment]
        inner.post_processor = None  # type: ignore[assignment]
        inner.encode_special_tokens = True  # special-looking text stays text
        if isinstance(inner.model, tokenizers.models.BPE):
            inner.model.dropout = None  # type: ignore[assignment]
        bos = _find_bos(inner)
        super().__init__(_pieces(inner, where), bos)
        self._inner, self._where = inner, where
        probe = PROBE + "".join(f"x  {token.content}  x" for token in inner.get_added_tokens_decoder().values())
        if self.bytes_of(self.encode(probe)) != probe.encode():
            raise DataError("this tokenizer changes the text it encodes", where=where, fix=BYTE_LEVEL_ONLY)

    @classmethod
    def parse(cls, text: str, *, where: str) -> ByteLevelTokenizer:
        """From the text of a tokenizer.json; raises DataError for anything else."""
        try:
            return cls(tokenizers.Tokenizer.from_str(text), where=where)
        except DataError:
            raise
        except BaseException as error:
            raise DataError(f"not a usable tokenizer.json ({_failure(error)})", where=where) from None

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Raises DataError where the tokenizer's own rules fail on a text, as some expressions that backtrack do."""
        try:
            found = self._inner.encode_batch_fast(list(texts), add_special_tokens=False)
        except BaseException as error:
            raise DataError(f"this tokenizer fails on the text ({_failure(error)})", where=self._where) from None
        return [np.array(encoding.ids, dtype=np.uint32) for encoding in found]

    def to_json(self) -> str:
        return self._inner.to_str()


BYTE_LEVEL_ONLY = "use a byte-level tokenizer (as GPT-2 or Llama 3): bits per byte need exact bytes"


def read_tokenizer_file(path: Path) -> str:
    """Text of a tokenizer.json; raises DataError when it is missing, no regular file, too large or not text."""
    try:
        return read_regular(path, TOKENIZER_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot read the tokenizer: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError:
        raise DataError("not a tokenizer.json: it is not UTF-8 text", where=str(path)) from None


def byte_alphabet() -> dict[str, int]:
    """Character -> byte, as GPT-2 writes bytes: printable Latin-1 as itself, the rest from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [value for value in range(256) if value not in printable]
    return {chr(v): v for v in printable} | {chr(256 + i): v for i, v in enumerate(others)}


def _find_bos(inner: tokenizers.Tokenizer) -> int:
    """Id of the special token that begins a text; one is added when the tokenizer has none."""
    special = {token.content: index for index, token in inner.get_added_tokens_decoder().items() if token.special}
    for name in BOS_NAMES:
        if name in special:
            return special[name]
    inner.add_special_tokens([tokenizers.AddedToken(BOS_TEXT, special=True, normalized=False)])
    return _id(inner, BOS_TEXT)


def _id(inner: tokenizers.Tokenizer, token: str) -> int:
    index = inner.token_to_id(token)
    assert index is not None, token
    return index


def _pieces(inner: tokenizers.Tokenizer, where: str) -> list[bytes]:
    """Bytes of each id; ids without a token get none, as they never occur."""
    vocabulary = inner.get_vocab(with_added_tokens=True)
    size = max(vocabulary.values()) + 1
    if size > VOCABULARY or len(set(vocabulary.values())) != len(vocabulary):
        raise DataError("its token ids are not a vocabulary: too large, or used twice", where=where)
    added, alphabet = inner.get_added_tokens_decoder(), byte_alphabet()
    pieces = [b""] * size
    for token, index in vocabulary.items():
        if index in added:
            pieces[index] = b"" if added[index].special else token.encode()
        elif all(character in alphabet for character in token):
            pieces[index] = bytes(alphabet[character] for character in token)
        else:
            raise DataError(f"its token {token[:20]!r} is not made of bytes", where=where, fix=BYTE_LEVEL_ONLY)
    return pieces


def _failure(error: BaseException) -> str:
    """What went wrong, in one line. A panic in the native library is no Exception; an interrupt is raised again."""
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error
    return sanitize_line(str(error).strip().split("\n", 1)[0], 200)
