"""Check: tokenizers lose nothing, targets are the next tokens, and a stream goes on exactly where it was left."""

from __future__ import annotations

from itertools import islice

import numpy as np

from nanocore.config.schema import Config
from nanocore.data.batch import Batch
from nanocore.data.bpe import train_bpe
from nanocore.data.heldout import validation_slice
from nanocore.data.prepare import Corpus, prepare
from nanocore.data.stream import StreamState, batches
from nanocore.data.tokenizer import ByteTokenizer, StreamDecoder, Tokenizer, from_json
from nanocore.validation.outcome import Found, NotRun, expect
from nanocore.validation.tables import library_files, library_sets, small_config
from nanocore.validation.workshop import Workshop

# White space, digits, several scripts, a joined emoji, characters that steer terminals, and no text at all.
TEXTS = ("", "def f(x):\n\treturn x  # 3.14\r\n", "Žluťoučký kůň, 日本語, 👩‍👧", "\x00\x1b[2J\u202e\ufeff", "aaaa" * 40)
WORDS, BATCHES, LEFT_AT = 300, 7, 3


def check(workshop: Workshop) -> Found:
    if not library_files():
        raise NotRun("this Python comes without the source of its library")
    config = small_config(*library_sets())
    corpus = prepare(config.data, cache=workshop.folder / "cache")
    sample = [corpus.tokenizer.decode(corpus.train[0].tokens[:60_000].tolist())]
    for name, tokenizer in {"bytes": ByteTokenizer(), "bpe": train_bpe(sample, WORDS)}.items():
        _lossless(name, tokenizer)
    made = list(islice(batches(corpus, config), BATCHES))
    for batch, _ in made:
        _next_tokens(batch, corpus)
    _goes_on(made, corpus, config)
    other = next(batches(corpus, small_config(*library_sets(), f"training.seed={config.training.seed + 1}")))[0]
    expect(
        not np.array_equal(other.tokens, made[0][0].tokens), "another seed gives the same first batch", "another one"
    )
    held = _held_out(corpus, config)
    text = corpus.facts["bytes"]
    return Found(
        f"{text >> 10} KiB of real text, {BATCHES} batches, {held} held-out tokens",
        f"{len(TEXTS)} awkward texts through bytes and a BPE of {WORDS} tokens; resumed from batch {LEFT_AT}",
    )


def _lossless(name: str, tokenizer: Tokenizer) -> None:
    again = from_json(tokenizer.to_json())
    for text in TEXTS:
        ids = tokenizer.encode(text).tolist()
        decoder = StreamDecoder(tokenizer)
        piecewise = "".join(map(decoder.push, ids)) + decoder.finish()
        shown = f"{name}: {text[:12]!r} comes back as"
        expect(tokenizer.decode(ids) == text, f"{shown} {tokenizer.decode(ids)[:20]!r}", "the same text")
        expect(piecewise == text, f"{shown} {piecewise[:20]!r} piece by piece", "the same text")
        expect(again.encode(text).tolist() == ids, f"{name}: a saved tokenizer reads {text[:12]!r} otherwise", "alike")
        length, exact = int(tokenizer.byte_lengths[ids].sum()), len(text.encode())
        expect(length == exact, f"{name}: {length} bytes of {text[:12]!r}", f"{exact}")
    expect(int(tokenizer.byte_lengths[tokenizer.bos]) == 0, f"{name}: BOS has bytes", "none: it stands for no text")


def _next_tokens(batch: Batch, corpus: Corpus) -> None:
    """Inside a row a target is the token that is read next; positions and documents begin anew at BOS."""
    moved = (batch.targets[:, :-1] == batch.tokens[:, 1:]) | (batch.targets[:, :-1] == -1)
    expect(bool(moved.all()), f"{int((~moved).sum())} targets are not the next token", "targets moved by one")
    expect(
        bool((batch.targets >= 0).mean() > 0.9),
        f"{(batch.targets >= 0).mean():.0%} of the places have a target",
        "nearly all",
    )
    begins = (batch.tokens == corpus.tokenizer.bos)[:, 1:]
    expect(bool((batch.positions[:, 1:][begins] == 0).all()), "positions go on over a border", "0 at each beginning")
    steps = np.diff(batch.documents, axis=1)
    expect(bool((steps == begins).all()), "document numbers do not follow the borders", "one more at each BOS")


def _goes_on(made: list[tuple[Batch, StreamState]], corpus: Corpus, config: Config) -> None:
    later = islice(batches(corpus, config, dict(made[LEFT_AT - 1][1])), BATCHES - LEFT_AT)
    for number, ((found, _), (exact, _)) in enumerate(zip(later, made[LEFT_AT:], strict=True), LEFT_AT + 1):
        same = np.array_equal(found.tokens, exact.tokens) and np.array_equal(found.targets, exact.targets)
        expect(same, f"batch {number} is another after a resume at {LEFT_AT}", "the same tokens")


def _held_out(corpus: Corpus, config: Config) -> int:
    """No document stands on both sides, and the held-out side is what measures read."""
    slice_, bos = validation_slice(corpus, config), corpus.tokenizer.bos
    sides = [_documents(shard.tokens, bos) for shard in (corpus.train[0], corpus.validation)]
    both = sides[0] & sides[1]
    expect(not both, f"{len(both)} documents are trained on and held out", "none")
    read = np.concatenate([batch.tokens.ravel() for batch in slice_.batches])
    same = np.array_equal(read, corpus.validation.tokens[: len(read)])
    expect(same, "measures read other text than what is held out", "the beginning of the held-out text")
    return slice_.scored


def _documents(tokens: np.ndarray, bos: int) -> set[bytes]:
    starts = np.flatnonzero(tokens == bos)
    return {part.tobytes() for part in np.split(tokens, starts[1:])}
