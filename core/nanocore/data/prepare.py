"""From the data section of a configuration to a corpus of memory-mapped tokens, made once and found again."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from nanocore.config.sections import Data
from nanocore.data.cache import CorpusCache, Known
from nanocore.data.encode import train_name, write_shards
from nanocore.data.facts import corpus_facts
from nanocore.data.meter import Progress, silent
from nanocore.data.scan import Scan, check_held_out, scan
from nanocore.data.shards import Shard
from nanocore.data.sources import Listing, list_source
from nanocore.data.tokenizer import Tokenizer, from_json
from nanocore.data.vocabulary import MakeTokenizer, choose_tokenizer
from nanocore.errors import DataError, ResourceError

FORM = 1  # counts up with every change to reading, splitting or encoding, so that older caches are not taken
TOKENIZER = "tokenizer.json"
SKIPPED_SHOWN = 20


@dataclass(frozen=True)
class Corpus:
    """Prepared text.

    Attributes:
        tokenizer: what the tokens mean.
        train: one shard for each source, in the order of the configuration.
        validation: the held-out documents of all sources, in a fixed random order.
        source_weights: share of training tokens of each source; they add up to 1.
        key: identifies tokens and split; equal keys mean equal shards.
        facts: see `corpus_facts`, and `python`, `skipped_files` (how many were not text), `skipped` (the first).
    """

    tokenizer: Tokenizer
    train: list[Shard]
    validation: Shard
    source_weights: list[float]
    key: str
    facts: dict[str, Any]


def prepare(data: Data, *, cache: Path, progress: Progress = silent) -> Corpus:
    """Reads, splits and tokenizes the sources, or finds what an earlier call made of the same text.

    `progress(phase, done, total)` hears the phases scan, tokenizer and encode, in bytes. Raises DataError for
    sources that cannot be used, ResourceError when the cache cannot be written; neither leaves half a corpus.
    """
    store, listings = CorpusCache(cache), [list_source(source) for source in data.sources]
    identity, make_tokenizer = choose_tokenizer(data)
    unchanged = _digest(_settings(data, identity), platform.python_version(), [_files(item) for item in listings])
    known = store.recall(unchanged)
    found = store.find(known.key) if known else None
    if known is None or found is None:
        known = _make(store, data, listings, (identity, make_tokenizer), progress)
        found = store.find(known.key)
        store.remember(unchanged, known)
    if found is None:
        raise ResourceError("prepared data vanished", where=str(cache), fix="start again")
    return _open(*found, known, data)


def _make(
    store: CorpusCache,
    data: Data,
    listings: Sequence[Listing],
    choice: tuple[dict[str, Any], MakeTokenizer],
    progress: Progress,
) -> Known:
    """Scans the sources and builds their corpus, unless one of the same content is there."""
    identity, make_tokenizer = choice
    if data.tokenizer == "file":
        make_tokenizer([])  # refuses a bad file before a long scan
    found = scan(listings, data, progress)
    _check_amount(found, data, make_tokenizer)
    key = _digest(FORM, found.hash, data.validation_fraction, identity)

    def write(folder: Path) -> dict[str, Any]:
        progress("tokenizer", 0, 1)
        tokenizer = make_tokenizer(found.sample)
        progress("tokenizer", 1, 1)
        (folder / TOKENIZER).write_text(tokenizer.to_json(), encoding="utf-8")
        write_shards(folder, listings, found, tokenizer, progress)
        return corpus_facts(folder, data, found, tokenizer)

    if store.find(key) is None:
        store.build(key, write)
    skipped = [line for source in found.sources for line in source.skipped]
    return Known(key, len(skipped), skipped[:SKIPPED_SHOWN])


def _check_amount(found: Scan, data: Data, make_tokenizer: MakeTokenizer) -> None:
    """Raises DataError when nothing is held out. Text so scarce may be too little for the vocabulary too: told at once."""
    try:
        check_held_out(found, data.validation_fraction)
    except DataError as error:
        try:
            make_tokenizer(found.sample)
        except DataError as other:
            both = f"{error.what}, and {other.what}"
            raise DataError(both, where=error.where, fix=f"{error.fix}; {other.fix}") from None
        raise


def _open(folder: Path, facts: dict[str, Any], known: Known, data: Data) -> Corpus:
    tokenizer = from_json((folder / TOKENIZER).read_text(encoding="utf-8"))
    shards = [Shard.open(folder, train_name(index), tokenizer.vocab_size) for index in range(len(data.sources))]
    total = sum(source.weight for source in data.sources)
    return Corpus(
        tokenizer=tokenizer,
        train=shards,
        validation=Shard.open(folder, "validation", tokenizer.vocab_size),
        source_weights=[source.weight / total for source in data.sources],
        key=known.key,
        facts=facts
        | {"python": platform.python_version(), "skipped_files": known.skipped_files, "skipped": known.skipped},
    )


def _settings(data: Data, identity: dict[str, Any]) -> list[Any]:
    """What decides the tokens besides the text. Weights do not: they only mix."""
    sources = [source.model_dump(exclude={"weight", "paths"}) for source in data.sources]
    return [FORM, sources, data.validation_fraction, identity]


def _files(listing: Listing) -> list[Any]:
    return [list(asdict(file).values()) for file in listing.files]


def _digest(*parts: Any) -> str:
    return blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=16).hexdigest()
