"""The second reading of a corpus: text to token shards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from nanocore.data.meter import Meter, Progress
from nanocore.data.scan import Scan, Side, reread
from nanocore.data.shards import Shard, ShardWriter, reorder
from nanocore.data.sources import Listing
from nanocore.data.tokenizer import Tokenizer

BATCH = 2 << 20  # characters handed to the tokenizer at once: enough for all cores, and progress twice a second
HELD_OUT = "held-out"
Kept = tuple[int, str, Side]


def train_name(source: int) -> str:
    """The name of the training shard of one source."""
    return f"train-{source}"


def write_shards(
    folder: Path, listings: Sequence[Listing], found: Scan, tokenizer: Tokenizer, progress: Progress
) -> None:
    """Writes one training shard for each source and the validation shard of all. Raises DataError for changed text.

    The validation shard is ordered by digest. So its beginning is a random mixture of all sources, and the
    same whatever the fraction held out, as a smaller fraction holds out the smaller digests.
    """
    meter = Meter("encode", found.bytes(Side.TRAIN, Side.VALIDATION), progress)
    with ExitStack() as stack:
        names = [*map(train_name, range(len(listings))), HELD_OUT]
        writers = [stack.enter_context(_writer(folder, name, tokenizer)) for name in names]
        for batch in _batches(reread(listings, found)):
            encoded = tokenizer.encode_batch([text for _, text, _ in batch])
            for (source, text, side), tokens in zip(batch, encoded, strict=True):
                writers[source if side is Side.TRAIN else -1].append(tokens)
                meter.advance(len(text.encode()))
    _write_validation(folder, found.held_out, tokenizer)
    meter.finish()


def _write_validation(folder: Path, digests: Sequence[bytes], tokenizer: Tokenizer) -> None:
    unordered = Shard.open(folder, HELD_OUT, tokenizer.vocab_size)
    with _writer(folder, "validation", tokenizer) as writer:
        reorder(unordered, sorted(range(len(digests)), key=digests.__getitem__), writer)
    for path in folder.glob(f"{HELD_OUT}.*"):
        path.unlink()


def _writer(folder: Path, name: str, tokenizer: Tokenizer) -> ShardWriter:
    return ShardWriter(folder, name, vocab_size=tokenizer.vocab_size, bos=tokenizer.bos)


def _batches(documents: Iterable[Kept]) -> Iterator[list[Kept]]:
    """Groups of documents of about BATCH characters."""
    batch, size = [], 0
    for document in documents:
        batch.append(document)
        size += len(document[1])
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
