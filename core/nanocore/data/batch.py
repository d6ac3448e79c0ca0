"""From rows of the token stream to the arrays a model is trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NO_LOSS = -1  # target of a position without loss


@dataclass(frozen=True)
class Batch:
    """B rows of T tokens, all int32 (B, T).

    Attributes:
        tokens: inputs.
        targets: the token that follows each input; NO_LOSS where nothing is to be predicted.
        positions: place of each token in its document within the row, from 0.
        documents: number of its document within the row, from 0.
    """

    tokens: np.ndarray
    targets: np.ndarray
    positions: np.ndarray
    documents: np.ndarray


def make_batch(rows: np.ndarray, *, bos: int, isolate_documents: bool) -> Batch:
    """Rows (B, T + 1) of consecutive tokens, in which BOS begins each document, to a Batch of width T.

    A row overlaps the next by one token, so that every token is a target once. The last token of a
    document has BOS as its target: that is how a model learns to end. Without isolation a row is one document.
    """
    tokens, targets = rows[:, :-1].astype(np.int32), rows[:, 1:].astype(np.int32)
    place = np.broadcast_to(np.arange(tokens.shape[1], dtype=np.int32), tokens.shape)
    if not isolate_documents:
        return Batch(tokens, targets, place.copy(), np.zeros_like(tokens))
    begins = tokens == bos  # (B, T)
    documents = np.cumsum(begins, axis=1, dtype=np.int32) - begins[:, :1]
    starts = np.maximum.accumulate(np.where(begins, place, 0), axis=1)
    return Batch(tokens, targets, place - starts, documents)
