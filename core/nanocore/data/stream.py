"""The training stream: a chain of iterators that each yield (output, state).

    positions   one source: where each row begins, in a new random order every epoch
    mixture     all sources: whose row is next, by weight
    plans       the rows of one batch
    batches     their tokens

A state is small JSON; an iterator made with it continues with exactly the next output. Orders are computed
from (seed, source, epoch), so there is no generator to save. The stages are those of lingua's `data.py`
(Meta, 2024), which keeps buffers and generators in its states; the order computed here needs neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypedDict

import msgspec
import numpy as np

from nanocore.config.schema import Config
from nanocore.data.batch import Batch, make_batch
from nanocore.data.prepare import Corpus
from nanocore.errors import DataError


class PositionState(TypedDict):
    """How far one source is: its epoch, and the rows given out in it."""

    epoch: int
    row: int


class MixtureState(TypedDict):
    """Rows drawn from each source since the beginning, and how far each source is."""

    drawn: list[int]
    sources: list[PositionState]


class StreamState(TypedDict):
    """Which stream this is, and how far it is."""

    stream: str
    mixture: MixtureState


Row = tuple[int, int]  # source, place of its first token in the shard
Plan = list[Row]


def positions(
    tokens: int, width: int, seed: Sequence[int], state: PositionState | None = None
) -> Iterator[tuple[int, PositionState]]:
    """Where each row of width + 1 tokens begins in a shard, for ever. Needs tokens > width.

    An epoch visits every row once, in random order: the rows of a batch come from different documents.
    The cut into rows moves with the epoch, so that a text does not always break at the same places.
    """
    epoch, row = (state["epoch"], state["row"]) if state else (0, 0)
    while True:
        starts = epoch_order(tokens, width, [*seed, epoch])
        for number in range(row, len(starts)):
            yield int(starts[number]), {"epoch": epoch, "row": number + 1}
        epoch, row = epoch + 1, 0


def epoch_order(tokens: int, width: int, seed: Sequence[int]) -> np.ndarray:
    """First tokens of the rows of one epoch, (R,) int64, in order.

    Built on the raw output of a counter-based generator, which numpy promises never to change
    (its `permutation` may change with a version, and a resumed run would then see other rows).
    """
    source = np.random.Philox(np.random.SeedSequence(list(seed)))
    offset = int(source.random_raw(1)[0]) % min(width, tokens - width)
    rows = (tokens - 1 - offset) // width
    return offset + width * np.argsort(source.random_raw(rows), kind="stable")


def mixture(corpus: Corpus, config: Config, state: MixtureState | None = None) -> Iterator[tuple[Row, MixtureState]]:
    """Rows of all sources: each time from the source that is furthest behind its share. Never random."""
    width, weights = config.model.context_length, corpus.source_weights
    states = list(state["sources"]) if state else [PositionState(epoch=0, row=0) for _ in weights]
    drawn = list(state["drawn"]) if state else [0 for _ in weights]
    streams = [
        positions(len(shard.tokens), width, [config.training.seed, source], states[source])
        for source, shard in enumerate(corpus.train)
    ]
    while True:
        turn = sum(drawn) + 1
        deficits = [weight * turn - count for weight, count in zip(weights, drawn, strict=True)]
        source = deficits.index(max(deficits))
        start, states[source] = next(streams[source])
        drawn[source] += 1
        yield (source, start), {"drawn": list(drawn), "sources": list(states)}


def plans(corpus: Corpus, config: Config, state: dict | None = None) -> Iterator[tuple[Plan, StreamState]]:
    """The rows of batch after batch, training.batch_size each: cheap, and all that the order depends on.

    Raises DataError for a source shorter than a row, and for a state of another stream.
    """
    _check_lengths(corpus, config.model.context_length)
    name = stream_name(corpus, config)
    rows = mixture(corpus, config, _checked(state, name, len(corpus.train)))
    while True:
        chosen = list(islice(rows, config.training.batch_size))
        yield [row for row, _ in chosen], {"stream": name, "mixture": chosen[-1][1]}


def fetch(corpus: Corpus, config: Config, plan: Plan) -> Batch:
    """The tokens of a plan's rows. Several threads may fetch at once."""
    width = config.model.context_length
    rows = np.stack([corpus.train[source].tokens[start : start + width + 1] for source, start in plan])
    return make_batch(rows, bos=corpus.tokenizer.bos, isolate_documents=config.data.isolate_documents)


def batches(corpus: Corpus, config: Config, state: dict | None = None) -> Iterator[tuple[Batch, StreamState]]:
    """Batch after batch for ever, each with the state from which the next one follows.

    The order is that of all processes together: process r of n takes rows r::n of each batch.
    """
    for plan, after in plans(corpus, config, state):
        yield fetch(corpus, config, plan), after


def stream_name(corpus: Corpus, config: Config) -> str:
    """Everything that decides which row comes when, batch size aside."""
    weights = ",".join(f"{weight:.9g}" for weight in corpus.source_weights)
    return f"{corpus.key}/{weights}/{config.model.context_length}/{config.training.seed}"


def _check_lengths(corpus: Corpus, width: int) -> None:
    for index, shard in enumerate(corpus.train):
        if len(shard.tokens) <= width:
            raise DataError(
                f"{len(shard.tokens)} tokens to train on are less than one row of {width + 1}",
                where=f"data.sources[{index}]",
                fix="add text or lower model.context_length",
            )


def _checked(state: dict | None, name: str, sources: int) -> MixtureState | None:
    """The inner state, when it is one, and of this stream."""
    if state is None:
        return None
    try:
        found = msgspec.convert(state, StreamState)
    except msgspec.ValidationError as error:
        raise DataError(f"the saved place in the data is damaged ({error})", where="state") from None
    if found["stream"] != name:
        raise DataError(
            "the saved place belongs to other text, tokenizer, weights, context length or seed",
            where="data",
            fix="restore them, or start a new run from the checkpoint",
        )
    inner = found["mixture"]
    counts = [*inner["drawn"], *(value for place in inner["sources"] for value in (place["epoch"], place["row"]))]
    if len(inner["drawn"]) != sources or len(inner["sources"]) != sources or min(counts) < 0:
        raise DataError("the saved place in the data is damaged (counts)", where="state")
    return inner
