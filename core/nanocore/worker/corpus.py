"""Worker verbs about the text that a configuration trains on: the request's `config` is its table."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nanocore.worker.channel import Channel, Record

if TYPE_CHECKING:
    from nanocore.config.schema import Config
    from nanocore.data.prepare import Corpus


def prepare(request: Record, channel: Channel) -> None:
    """Make the token shards, or find them in the cache."""
    began = time.monotonic()
    _, corpus = _corpus(request, channel)
    channel.answer({"kind": "done", **corpus.facts, "seconds": round(time.monotonic() - began, 3)})


def inspect(request: Record, channel: Channel) -> None:
    """What a model would be trained on: the corpus in numbers, the held-out slice, and the text of one training row."""
    from nanocore.data.heldout import validation_slice, xz_bits_per_byte
    from nanocore.data.stream import batches

    config, corpus = _corpus(request, channel)
    held_out = validation_slice(corpus, config)
    batch, _ = next(batches(corpus, config))
    slice_facts = {
        "held_out_bytes": held_out.target_bytes,
        "held_out_tokens": held_out.scored,
        "xz_bits_per_byte": round(xz_bits_per_byte(held_out.text), 4),
    }
    row = corpus.tokenizer.decode(batch.tokens[0].tolist())
    channel.answer({"kind": "done", **corpus.facts, **slice_facts, "row": row})


def _corpus(request: Record, channel: Channel) -> tuple[Config, Corpus]:
    from nanocore.config.validate import build
    from nanocore.data.prepare import prepare as prepared
    from nanocore.runs.layout import cache_root

    def progress(phase: str, done: int, total: int) -> None:
        channel.answer({"kind": "progress", "phase": phase, "done": done, "total": total})

    config = build(request["config"])
    return config, prepared(config.data, cache=cache_root(), progress=progress)
