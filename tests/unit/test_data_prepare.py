"""Preparing a corpus: the split, the facts, and the cache by content."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from nanocore.config.sections import Data
from nanocore.data import scan
from nanocore.data.prepare import Corpus, prepare
from nanocore.data.scan import Side, document_digest, side_of
from nanocore.data.shards import Shard
from nanocore.errors import DataError


def write_texts(folder: Path, count: int, *, word: str = "value") -> list[str]:
    """Files that have little in common, and their texts in order."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = [f"{word} {number}\n" + f"{number * number} {word} é\n" * (number % 7) for number in range(count)]
    for number, text in enumerate(texts):
        (folder / f"{number:04}.txt").write_text(text)
    return texts


def files(*globs: Path, **changes: object) -> Data:
    sources = [{"kind": "files", "paths": [str(path)]} for path in globs]
    return Data.model_validate({"sources": sources, "validation_fraction": 0.2, **changes})


def texts_of(corpus: Corpus, shard: Shard) -> list[str]:
    found = [shard.document(index) for index in range(shard.documents)]
    assert all(tokens[0] == corpus.tokenizer.bos and corpus.tokenizer.bos not in tokens[1:] for tokens in found)
    return [corpus.tokenizer.decode(tokens[1:]) for tokens in found]


def phases(data: Data, cache: Path) -> tuple[Corpus, list[str]]:
    """The corpus, and the phases it took to have it."""
    heard: list[str] = []
    corpus = prepare(data, cache=cache, progress=lambda phase, done, total: heard.append(phase))
    return corpus, list(dict.fromkeys(heard))


def test_every_document_is_on_exactly_one_side(tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "in", 60)
    corpus = prepare(files(tmp_path / "in/*"), cache=tmp_path / "cache")
    train, held_out = texts_of(corpus, corpus.train[0]), texts_of(corpus, corpus.validation)
    assert sorted(train + held_out) == sorted(texts)
    assert train == [text for text in texts if text in train]  # in the order of the files
    assert 4 <= len(held_out) <= 25


def test_the_split_never_moves_when_documents_are_added(tmp_path: Path) -> None:
    write_texts(tmp_path / "in", 40)
    before = prepare(files(tmp_path / "in/*"), cache=tmp_path / "cache")
    write_texts(tmp_path / "in/more", 60, word="other")
    after = prepare(files(tmp_path / "in/**/*.txt"), cache=tmp_path / "cache")
    assert set(texts_of(before, before.validation)) < set(texts_of(after, after.validation))
    assert set(texts_of(before, before.train[0])) < set(texts_of(after, after.train[0]))


def test_a_larger_fraction_holds_out_more_and_keeps_the_slice(tmp_path: Path) -> None:
    write_texts(tmp_path / "in", 60)
    small, large = (
        prepare(files(tmp_path / "in/*", validation_fraction=share), cache=tmp_path / "cache") for share in (0.1, 0.4)
    )
    held_out = texts_of(small, small.validation)
    assert texts_of(large, large.validation)[: len(held_out)] == held_out


def test_the_side_follows_the_fraction() -> None:
    digests = [document_digest(str(number).encode()) for number in range(4000)]
    share = sum(side_of(digest, 0.05) is Side.VALIDATION for digest in digests) / len(digests)
    assert abs(share - 0.05) < 0.014  # four standard deviations


def test_duplicates_never_leak_across_sources(tmp_path: Path) -> None:
    for index, text in enumerate(write_texts(tmp_path / "a", 40)[:30]):
        (tmp_path / "b").mkdir(exist_ok=True)
        (tmp_path / "b" / f"{index}.txt").write_text(text.replace("\n", "  \n"))  # copies but for white space
    write_texts(tmp_path / "b", 8, word="new")
    corpus = prepare(files(tmp_path / "a/*", tmp_path / "b/*"), cache=tmp_path / "cache")
    held_out = {text.split("\n")[0] for text in texts_of(corpus, corpus.validation)}
    train = {text.split("\n")[0].strip() for shard in corpus.train for text in texts_of(corpus, shard)}
    assert not held_out & train
    assert corpus.facts["duplicates"] == 30


def test_facts_are_the_truth_about_the_shards(tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "in", 50)
    (tmp_path / "in/blank.txt").write_text(" \n")
    (tmp_path / "in/picture.txt").write_bytes(b"\0")
    corpus = prepare(files(tmp_path / "in/*"), cache=tmp_path / "cache")
    facts = corpus.facts
    assert facts["documents"] == facts["train_documents"] + facts["validation_documents"] == 50
    assert facts["bytes"] == facts["train_bytes"] + facts["validation_bytes"] == sum(len(t.encode()) for t in texts)
    assert facts["train_tokens"] == len(corpus.train[0].tokens)
    assert facts["validation_tokens"] == len(corpus.validation.tokens)
    assert facts["tokens"] == facts["bytes"] + 50  # one BOS each
    assert (facts["skipped_files"], facts["vocab_size"]) == (1, 257)
    assert "picture.txt: binary" in facts["skipped"][0]
    assert facts["sources"][0]["kind"] == "files"
    assert len(facts["hash"]) == 32 and facts["python"].startswith("3.")


def test_shards_are_memory_mapped_and_read_only(tmp_path: Path) -> None:
    write_texts(tmp_path / "in", 30)
    shard = prepare(files(tmp_path / "in/*"), cache=tmp_path / "cache").train[0]
    assert shard.tokens.dtype == np.uint16
    assert isinstance(shard.tokens.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        shard.tokens[0] = 1


def test_progress_rises_to_the_total_in_bytes(tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "in", 30)
    (tmp_path / "in/large.txt").write_text("".join(f"{number}\n" for number in range(300_000)))  # 2 MB
    heard: list[tuple[str, int, int]] = []
    prepare(files(tmp_path / "in/*"), cache=tmp_path / "cache", progress=lambda *told: heard.append(told))
    size = sum(len(text.encode()) for text in texts) + (tmp_path / "in/large.txt").stat().st_size
    for phase in ("scan", "encode"):
        done = [done for name, done, total in heard if name == phase and total == size]
        assert done == sorted(done)
        assert (done[0], done[-1]) == (0, size)
        assert len(done) > 2  # also on the way


def test_the_same_text_is_prepared_once(tmp_path: Path) -> None:
    write_texts(tmp_path / "in", 30)
    first, all_phases = phases(files(tmp_path / "in/*"), tmp_path / "cache")
    assert all_phases == ["scan", "tokenizer", "encode"]
    again, none = phases(files(tmp_path / "in/*"), tmp_path / "cache")
    assert none == []
    assert (again.key, again.facts) == (first.key, first.facts)
    os.utime(tmp_path / "in/0003.txt")  # looks changed, is not
    touched, only_scan = phases(files(tmp_path / "in/*"), tmp_path / "cache")
    assert (only_scan, touched.key) == (["scan"], first.key)


def test_the_same_text_elsewhere_is_the_same_corpus(tmp_path: Path) -> None:
    for name in ("here", "there"):
        write_texts(tmp_path / name, 30)
    here, there = (phases(files(tmp_path / name / "*"), tmp_path / "cache") for name in ("here", "there"))
    assert (there[1], there[0].key) == (["scan"], here[0].key)


def test_changed_text_or_settings_make_another_corpus(tmp_path: Path) -> None:
    write_texts(tmp_path / "in", 30)
    keys = {prepare(files(tmp_path / "in/*"), cache=tmp_path / "cache").key}
    for changes in ({"validation_fraction": 0.3}, {"tokenizer": "bpe", "vocab_size": 260}):
        keys.add(prepare(files(tmp_path / "in/*", **changes), cache=tmp_path / "cache").key)
    path = tmp_path / "in/0003.txt"
    facts = path.stat()
    path.write_text(path.read_text().replace("3", "4", 1))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))  # same size, same time of change
    keys.add(prepare(files(tmp_path / "in/*"), cache=tmp_path / "cache").key)
    assert len(keys) == 4


def test_weights_mix_but_do_not_prepare_again(tmp_path: Path) -> None:
    for name in "ab":
        write_texts(tmp_path / name, 20, word=name)
    data = files(tmp_path / "a/*", tmp_path / "b/*")
    even, _ = phases(data, tmp_path / "cache")
    sources = [data.sources[0].model_copy(update={"weight": 3.0}), data.sources[1]]
    uneven, none = phases(data.model_copy(update={"sources": sources}), tmp_path / "cache")
    assert none == [] and uneven.key == even.key
    assert (even.source_weights, uneven.source_weights) == ([0.5, 0.5], [0.75, 0.25])


def test_bpe_never_sees_held_out_text(tmp_path: Path) -> None:
    write_texts(tmp_path / "in", 60)
    secrets = [f"zzqx {number}\n" + "zzqx zzqx\n" * 50 for number in range(400)]
    held_out = [text for text in secrets if side_of(document_digest(text.encode()), 0.2) is Side.VALIDATION]
    assert len(held_out) > 40
    for number, text in enumerate(held_out):
        (tmp_path / f"in/secret-{number}.txt").write_text(text)
    data = files(tmp_path / "in/*", tokenizer="bpe", vocab_size=262)
    tokenizer = prepare(data, cache=tmp_path / "cache").tokenizer
    assert [piece for piece in tokenizer.pieces if b"al" in piece]  # of "value"
    assert not [piece for piece in tokenizer.pieces if b"zz" in piece]
    assert prepare(data, cache=tmp_path / "other").tokenizer.to_json() == tokenizer.to_json()


def test_a_large_vocabulary_is_learned_from_a_larger_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    for number in range(60):
        word = "".join(chr(ord("a") + number * place % 26) for place in range(8))
        (tmp_path / f"in/{number}").write_text(f"{word} {number} {word}")
    data = files(tmp_path / "in/*", tokenizer="bpe", vocab_size=320)
    monkeypatch.setattr(scan, "SAMPLE_BYTES", 100)
    monkeypatch.setattr(scan, "SAMPLE_BYTES_PER_TOKEN", 0)
    with pytest.raises(DataError, match=r"not for data\.vocab_size = 320"):
        prepare(data, cache=tmp_path / "cache")
    monkeypatch.setattr(scan, "SAMPLE_BYTES_PER_TOKEN", 10)
    assert prepare(data, cache=tmp_path / "cache").tokenizer.vocab_size == 320


def test_too_little_text_for_split_and_vocabulary_is_told_in_one_line(tmp_path: Path) -> None:
    write_texts(tmp_path / "in", 1)
    little = {"validation_fraction": 1e-5, "tokenizer": "bpe"}
    with pytest.raises(DataError) as caught:
        prepare(files(tmp_path / "in/*", vocab_size=4096, **little), cache=tmp_path / "cache")
    assert str(caught.value) == (
        "data.validation_fraction = 1e-05: none of 1 documents fell to the held-out side, and 1 documents of training "
        "text are enough for 257 tokens, not for data.vocab_size = 4096; add documents (about 300000 are needed) or "
        "raise it; lower data.vocab_size to at most 257, add text (of which 4 MiB at most are sampled), or for a small "
        'text set data.tokenizer = "bytes" and data.vocab_size = 0'
    )
    with pytest.raises(DataError, match=r"are needed\) or raise it$"):  # the vocabulary is no problem
        prepare(files(tmp_path / "in/*", vocab_size=257, **little), cache=tmp_path / "cache")


def test_synthetic_sources_of_two_seeds_mix_and_seed_0_is_the_default(tmp_path: Path) -> None:
    def synthetic(*seeds: int) -> Data:
        sources = [{"kind": "synthetic", "documents": 60, "seed": seed} for seed in seeds]
        return Data.model_validate({"sources": sources, "validation_fraction": 0.2})

    mixed = prepare(synthetic(0, 1), cache=tmp_path)
    assert mixed.facts["duplicates"] == 0
    assert not set(texts_of(mixed, mixed.train[0])) & set(texts_of(mixed, mixed.train[1]))
    assert len({prepare(synthetic(seed), cache=tmp_path).key for seed in (0, 1, 2)}) == 3
    plain = Data.model_validate({"sources": [{"kind": "synthetic", "documents": 60}], "validation_fraction": 0.2})
    assert prepare(plain, cache=tmp_path).facts["hash"] == "e443afb09b0d9d2f25c70f6a34423128"  # as ever


def test_both_sides_need_a_document(tmp_path: Path) -> None:
    write_texts(tmp_path / "in", 1)
    with pytest.raises(DataError, match=r"none of 1 documents fell .*about 300000 are needed\) or raise it$"):
        prepare(files(tmp_path / "in/*", validation_fraction=1e-5), cache=tmp_path / "cache")
    (tmp_path / "blank.txt").write_text("\n")
    with pytest.raises(DataError, match=r"data.sources\[0\]: no text to train on \(it is empty\)"):
        prepare(files(tmp_path / "blank.txt"), cache=tmp_path / "cache")
    (tmp_path / "binary.bin").write_bytes(b"\0")
    with pytest.raises(DataError, match=r"no text to train on \(.*binary.bin: binary"):
        prepare(files(tmp_path / "*.bin"), cache=tmp_path / "cache")
    write_texts(tmp_path / "many", 20)
    with pytest.raises(DataError, match=r"data.sources\[1\]: no text to train on \(20 documents are copies"):
        prepare(files(tmp_path / "many/*", tmp_path / "many/*"), cache=tmp_path / "cache")
