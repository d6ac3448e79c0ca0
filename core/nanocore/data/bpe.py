"""Byte-level BPE (Sennrich et al. 2016, arXiv 1508.07909) trained on a sample of the corpus."""

from __future__ import annotations

from collections.abc import Sequence

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from nanocore.data.byte_level import ByteLevelTokenizer
from nanocore.data.scan import sample_bytes
from nanocore.data.tokenizer import BOS_TEXT, BYTES_FOR_SMALL
from nanocore.errors import DataError

# GPT-4's pattern with digits one by one: a number is then read the same wherever it stands.
# Merges never cross its pieces: contractions, words with their space, digits, punctuation with line ends, white space.
PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
RAREST = 2  # a pair seen once is not worth a token


def train_bpe(sample: Sequence[str], vocab_size: int) -> ByteLevelTokenizer:
    """A tokenizer with exactly `vocab_size` tokens: BOS, the 256 bytes, and merges learned from the sample.

    The same sample gives the same tokenizer. Raises DataError when the sample has too few
    different words for that many tokens.
    """
    inner = tokenizers.Tokenizer(models.BPE())
    words = pre_tokenizers.Split(tokenizers.Regex(PATTERN), behavior="isolated")
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.pre_tokenizer = pre_tokenizers.Sequence([words, as_bytes])  # type: ignore[assignment]
    inner.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=RAREST,
        special_tokens=[BOS_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(sample, trainer)
    if inner.get_vocab_size() != vocab_size:
        raise DataError(
            f"{len(sample)} documents of training text are enough for {inner.get_vocab_size()} tokens, "
            f"not for data.vocab_size = {vocab_size}",
            fix=f"lower data.vocab_size to at most {inner.get_vocab_size()}, add text (of which "
            f"{sample_bytes(vocab_size) >> 20} MiB at most are sampled), or {BYTES_FOR_SMALL}",
        )
    return ByteLevelTokenizer(inner, where="the trained tokenizer")
