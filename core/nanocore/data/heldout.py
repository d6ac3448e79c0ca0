"""The fixed held-out slice on which loss and bits per byte are measured, and what xz makes of the same bytes."""

from __future__ import annotations

import lzma
from dataclasses import dataclass

import numpy as np

from nanocore.config.schema import Config
from nanocore.data.batch import NO_LOSS, Batch, make_batch
from nanocore.data.prepare import Corpus
from nanocore.errors import DataError


@dataclass(frozen=True)
class HeldOut:
    """A slice of held-out text.

    Attributes:
        batches: its rows in fixed order, training.batch_size / accumulation in each but the last.
        text: exactly the bytes that the scored targets stand for, in order.
    """

    batches: list[Batch]
    text: bytes

    @property
    def rows(self) -> int:
        """Sequences in all batches."""
        return sum(len(batch.tokens) for batch in self.batches)

    @property
    def target_bytes(self) -> int:
        """Bytes by which the summed loss is divided: bits per byte = loss sum / (ln 2 * target_bytes)."""
        return len(self.text)

    @property
    def scored(self) -> int:
        """Number of targets that count."""
        return sum(int((batch.targets != NO_LOSS).sum()) for batch in self.batches)


def validation_slice(corpus: Corpus, config: Config) -> HeldOut:
    """The first evaluation.tokens tokens of the validation shard, in whole rows of context_length.

    Special tokens are no targets: they stand for no text. A shard with fewer tokens gives all its whole
    rows. Raises DataError when it has not even one.
    """
    width, tokens = config.model.context_length, corpus.validation.tokens
    count = min(config.evaluation.tokens, len(tokens) - 1) // width
    if count < 1:
        raise DataError(
            f"{len(tokens)} held-out tokens ({corpus.facts['validation_documents']} of {corpus.facts['documents']} documents) "
            f"are less than one row of {width + 1}",
            where="data.validation_fraction",
            fix="raise it, add text, or lower model.context_length",
        )
    rows = np.stack([tokens[row * width : (row + 1) * width + 1] for row in range(count)])
    size = config.training.batch_size // config.training.accumulation
    found = [_scored(rows[first : first + size], corpus, config) for first in range(0, count, size)]
    return HeldOut(found, corpus.tokenizer.bytes_of(tokens[1 : count * width + 1].tolist()))


def xz_bits_per_byte(text: bytes) -> float:
    """8 * compressed size / size with `xz -9`: what a general compressor, without training, achieves."""
    return 8 * len(lzma.compress(text, preset=9)) / len(text)


def _scored(rows: np.ndarray, corpus: Corpus, config: Config) -> Batch:
    batch = make_batch(rows, bos=corpus.tokenizer.bos, isolate_documents=config.data.isolate_documents)
    special = corpus.tokenizer.byte_lengths[batch.targets] == 0
    return Batch(batch.tokens, np.where(special, NO_LOSS, batch.targets), batch.positions, batch.documents)
