"""Numbers about a corpus that stand beside every result measured on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nanocore.config.sections import Data
from nanocore.data.encode import train_name
from nanocore.data.scan import Scan, Side
from nanocore.data.shards import Shard
from nanocore.data.tokenizer import Tokenizer


def corpus_facts(folder: Path, data: Data, found: Scan, tokenizer: Tokenizer) -> dict[str, Any]:
    """JSON facts of a corpus that was just written.

    hash (of every kept document, in order), tokenizer, vocab_size, duplicates (documents dropped),
    documents, bytes and tokens (BOS included) of the whole, the same with train_ and validation_ before
    them, and sources: kind, documents, bytes and tokens of each source's training side.
    """
    sources = [
        {
            "kind": source.kind,
            "documents": decided.documents(Side.TRAIN),
            "bytes": decided.bytes[Side.TRAIN],
            "tokens": _tokens(folder, train_name(index), tokenizer),
        }
        for index, (source, decided) in enumerate(zip(data.sources, found.sources, strict=True))
    ]
    facts: dict[str, Any] = {
        "hash": found.hash,
        "tokenizer": data.tokenizer,
        "vocab_size": tokenizer.vocab_size,
        "duplicates": sum(source.duplicates for source in found.sources),
        "sources": sources,
        "validation_documents": found.documents(Side.VALIDATION),
        "validation_bytes": found.bytes(Side.VALIDATION),
        "validation_tokens": _tokens(folder, "validation", tokenizer),
    }
    for name in ("documents", "bytes", "tokens"):
        facts[f"train_{name}"] = sum(source[name] for source in sources)
        facts[name] = facts[f"train_{name}"] + facts[f"validation_{name}"]
    return facts


def _tokens(folder: Path, name: str, tokenizer: Tokenizer) -> int:
    return len(Shard.open(folder, name, tokenizer.vocab_size).tokens)
