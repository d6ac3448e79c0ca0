"""Reading a corpus: which documents are kept, which are held out, and one hash of it all.

A corpus is read twice and never held in memory: `scan` decides, `reread` hands out what was decided.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import blake2b

from nanocore.config.sections import Data
from nanocore.data.duplicates import Duplicates
from nanocore.data.meter import Meter, Progress
from nanocore.data.sources import Listing, documents
from nanocore.errors import DataError

SAMPLE_BYTES = 4 << 20  # for training BPE; twice as much changes its compression by about 1 %
SAMPLE_BYTES_PER_TOKEN = 1 << 10  # a large vocabulary needs more to be found in: 4 MiB of Python give 30,000 tokens

LIKELY = 3.0  # so many documents expected on a side leave it empty once in twenty times: exp(-3)


class Side(IntEnum):
    """What becomes of a document."""

    DROPPED = 0
    TRAIN = 1
    VALIDATION = 2


@dataclass
class SourceScan:
    """The decisions about one source: one Side for each document in reading order, and what they add up to."""

    sides: bytearray = field(default_factory=bytearray)
    bytes: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))
    duplicates: int = 0
    skipped: list[str] = field(default_factory=list)

    def documents(self, side: Side) -> int:
        return self.sides.count(side)


@dataclass
class Scan:
    """All sources. `hash` covers every kept document in order; `held_out` has the digests of the validation side."""

    sources: list[SourceScan]
    held_out: list[bytes]
    hash: str
    sample: list[str]

    def bytes(self, *sides: Side) -> int:
        return sum(source.bytes[side] for source in self.sources for side in sides)

    def documents(self, *sides: Side) -> int:
        return sum(source.documents(side) for source in self.sources for side in sides)


class Sample:
    """A random part of the training text, bounded in bytes: the documents with the smallest digests."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._heap: list[tuple[int, bytes]] = []

    def offer(self, digest: bytes, text: bytes) -> None:
        heapq.heappush(self._heap, (-int.from_bytes(digest), text))
        self._left -= len(text)
        while self._left < 0 and len(self._heap) > 1:
            self._left += len(heapq.heappop(self._heap)[1])

    def texts(self) -> list[str]:
        return [text.decode() for _, text in sorted(self._heap, reverse=True)]


def sample_bytes(vocab_size: int) -> int:
    """Bytes of training text, at most, from which a BPE vocabulary of that size is learned."""
    return max(SAMPLE_BYTES, SAMPLE_BYTES_PER_TOKEN * vocab_size)


def document_digest(text: bytes) -> bytes:
    """What identifies a document, 16 bytes."""
    return blake2b(text, digest_size=16).digest()


def side_of(digest: bytes, validation_fraction: float) -> Side:
    """The side of a document, decided by its own text alone: other documents never move it."""
    return Side.VALIDATION if int.from_bytes(digest) / 2**128 < validation_fraction else Side.TRAIN


def scan(listings: Sequence[Listing], data: Data, progress: Progress) -> Scan:
    """Reads every document once and decides about it. Raises DataError for a source without text to train on."""
    kept, sample, corpus_hash = Duplicates(), Sample(sample_bytes(data.vocab_size)), blake2b(digest_size=16)
    meter = Meter("scan", sum(listing.size for listing in listings), progress)
    result = Scan([], [], "", [])
    for listing in listings:
        found = SourceScan()
        result.sources.append(found)
        corpus_hash.update(b"source")
        for text, side, digest in _decide(listing, found, kept, data.validation_fraction):
            meter.advance(len(text))
            corpus_hash.update(digest)
            if side is Side.TRAIN:
                sample.offer(digest, text)
            else:
                result.held_out.append(digest)
    meter.finish()
    result.hash, result.sample = corpus_hash.hexdigest(), sample.texts()
    _check_sources(result)
    return result


def reread(listings: Sequence[Listing], found: Scan) -> Iterator[tuple[int, str, Side]]:
    """Source, text and side of every kept document, in the order of `scan`.

    Raises DataError at the end when what was read is not what was scanned.
    """
    corpus_hash = blake2b(digest_size=16)
    for index, (listing, decided) in enumerate(zip(listings, found.sources, strict=True)):
        corpus_hash.update(b"source")
        texts = documents(listing, lambda path, reason: None)
        for text, side in zip(texts, decided.sides, strict=False):
            if side != Side.DROPPED:
                corpus_hash.update(document_digest(text.encode()))
                yield index, text, Side(side)
    if corpus_hash.hexdigest() != found.hash:
        raise DataError("the text changed while it was being prepared", fix="start again")


def _decide(
    listing: Listing, found: SourceScan, kept: Duplicates, validation_fraction: float
) -> Iterator[tuple[bytes, Side, bytes]]:
    """Text, side and digest of each document that is kept; notes all decisions in `found`."""
    for text in documents(listing, lambda path, reason: found.skipped.append(f"{path}: {reason}")):
        data = text.encode()
        digest, blank = document_digest(data), not text.strip()
        repeated = not blank and kept.seen(data, digest, near=listing.has_copies)
        side = Side.DROPPED if blank or repeated else side_of(digest, validation_fraction)
        found.duplicates += repeated
        found.sides.append(side)
        found.bytes[side] += len(data)
        if side is not Side.DROPPED:
            yield data, side, digest


def check_held_out(found: Scan, validation_fraction: float) -> None:
    """Raises DataError when nothing is held out."""
    if not found.held_out:
        raise DataError(
            f"none of {found.documents(Side.TRAIN)} documents fell to the held-out side",
            where=f"data.validation_fraction = {validation_fraction:g}",
            fix=f"add documents (about {math.ceil(LIKELY / validation_fraction)} are needed) or raise it",
        )


def _check_sources(result: Scan) -> None:
    for index, source in enumerate(result.sources):
        if not source.documents(Side.TRAIN):
            raise DataError(
                f"no text to train on ({_why_none(source)})", where=f"data.sources[{index}]", fix="add documents"
            )


def _why_none(source: SourceScan) -> str:
    if source.documents(Side.VALIDATION):
        return f"all {source.documents(Side.VALIDATION)} documents fell to the held-out side"
    if source.duplicates:
        return f"{source.duplicates} documents are copies of earlier ones"
    return source.skipped[0] if source.skipped else "it is empty"
