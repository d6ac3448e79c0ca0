"""The tokenizer that a configuration asks for: bytes, trained on the corpus, or given as a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nanocore.config.sections import Data
from nanocore.data.documents import shown
from nanocore.data.tokenizer import ByteTokenizer, Tokenizer, from_json
from nanocore.errors import DataError

MakeTokenizer = Callable[[Sequence[str]], Tokenizer]


def choose_tokenizer(data: Data) -> tuple[dict[str, Any], MakeTokenizer]:
    """What identifies the tokenizer (JSON), and a function that makes it from a sample of the training text.

    Raises DataError at once when a given file cannot be read; the function raises it for a malformed
    file, for a vocabulary of another size than data.vocab_size, or a sample too small to reach it.
    """
    if data.tokenizer == "bytes":
        return {"kind": "bytes"}, lambda sample: ByteTokenizer()
    library = version("tokenizers")  # another version may split or merge differently
    if data.tokenizer == "bpe":
        return {"kind": "bpe", "vocab_size": data.vocab_size, "library": library}, _trained(data.vocab_size)
    from nanocore.data.byte_level import read_tokenizer_file

    path = Path(data.tokenizer_file).expanduser()
    text = read_tokenizer_file(path)
    digest = blake2b(text.encode(), digest_size=16).hexdigest()
    identity = {"kind": "file", "digest": digest, "vocab_size": data.vocab_size, "library": library}
    return identity, lambda sample: _given(text, shown(path), data.vocab_size)


def _trained(vocab_size: int) -> MakeTokenizer:
    def train(sample: Sequence[str]) -> Tokenizer:
        from nanocore.data.bpe import train_bpe  # loads a native library: only when needed

        return train_bpe(sample, vocab_size)

    return train


def _given(text: str, where: str, vocab_size: int) -> Tokenizer:
    tokenizer = from_json(text, where=where)
    if vocab_size not in (0, tokenizer.vocab_size):
        raise DataError(
            f"has {tokenizer.vocab_size} tokens, BOS included, not data.vocab_size = {vocab_size}",
            where=where,
            fix=f"set data.vocab_size to {tokenizer.vocab_size} or 0",
        )
    return tokenizer
