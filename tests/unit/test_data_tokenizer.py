"""Tokenizers: every byte survives, special tokens never come out of text, bad files are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanocore.config.sections import Data
from nanocore.data.bpe import train_bpe
from nanocore.data.byte_level import PROBE, read_tokenizer_file
from nanocore.data.tokenizer import ByteTokenizer, StreamDecoder, Tokenizer, from_json
from nanocore.data.vocabulary import choose_tokenizer
from nanocore.errors import DataError

SAMPLE = ["def add(first, second):\n    return first + second\n" * 20, "the quick brown fox, 1234 times\n" * 20]
BPE = train_bpe(SAMPLE, 300)
TOKENIZERS: list[Tokenizer] = [ByteTokenizer(), BPE, from_json(BPE.to_json())]


def given_json(change: Callable[[dict], object]) -> str:
    """A tokenizer.json like the trained one, with something changed."""
    table = json.loads(BPE.to_json())
    change(table)
    return json.dumps(table)


def refused(text: str) -> str:
    with pytest.raises(DataError) as caught:
        from_json(text, where="given.json")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=["bytes", "bpe", "reloaded"])
def test_every_byte_that_text_can_hold_survives(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(PROBE)
    assert set(PROBE.encode()) == set(range(256)) - {0xC0, 0xC1, *range(0xF5, 0x100)}  # all that UTF-8 allows
    assert tokenizer.decode(ids) == PROBE
    assert int(tokenizer.byte_lengths[ids].sum()) == len(PROBE.encode())
    assert ids.dtype == np.uint32 and ids.max() < tokenizer.vocab_size


TEXTS = st.lists(
    st.binary(max_size=20).map(lambda data: data.decode("utf-8", "replace")) | st.sampled_from("<|bos|> Ġ")
)


@settings(max_examples=60, deadline=None)
@given(TEXTS.map("".join))
def test_any_text_survives_and_has_no_special_token(text: str) -> None:
    for tokenizer in TOKENIZERS:
        ids = tokenizer.encode(text)
        assert tokenizer.bytes_of(ids) == text.encode()
        assert tokenizer.bos not in ids


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=["bytes", "bpe", "reloaded"])
def test_text_that_looks_like_a_special_token_stays_text(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("a<|bos|>b")
    assert tokenizer.bos not in ids
    assert tokenizer.decode(ids) == "a<|bos|>b"
    assert tokenizer.decode([tokenizer.bos, *ids]) == "a<|bos|>b"


def test_bytes_have_257_tokens_and_bos_is_the_last() -> None:
    tokenizer = ByteTokenizer()
    assert (tokenizer.vocab_size, tokenizer.bos) == (257, 256)
    assert tokenizer.encode("é").tolist() == [0xC3, 0xA9]
    assert from_json(tokenizer.to_json()).pieces == tokenizer.pieces


def test_bpe_has_exactly_the_vocabulary_asked_for_and_compresses() -> None:
    assert BPE.vocab_size == 300
    assert len(BPE.encode(SAMPLE[0])) < len(SAMPLE[0]) / 3
    assert [BPE.pieces[index] for index in BPE.encode("2024")] == [b"2", b"0", b"2", b"4"]  # digits one by one


def test_bpe_is_the_same_every_time() -> None:
    assert train_bpe(list(SAMPLE), 300).to_json() == BPE.to_json()


def test_bpe_of_too_little_text_says_so() -> None:
    with pytest.raises(DataError, match=r"^1 documents .* 25\d tokens, not .* = 1000; .*data.tokenizer = \"bytes\""):
        train_bpe(["too short"], 1000)


def test_batches_encode_like_single_texts() -> None:
    for tokenizer in TOKENIZERS:
        for text, ids in zip(SAMPLE, tokenizer.encode_batch(SAMPLE), strict=True):
            assert ids.tolist() == tokenizer.encode(text).tolist()


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=["bytes", "bpe", "reloaded"])
def test_streamed_decoding_waits_for_whole_characters(tokenizer: Tokenizer) -> None:
    text = "naïve 漢字 👩‍💻"
    decoder = StreamDecoder(tokenizer)
    parts = [decoder.push(int(index)) for index in tokenizer.encode(text)]
    assert "".join(parts) + decoder.finish() == text
    assert not any("�" in part for part in parts)


def test_streamed_decoding_of_a_torn_character_shows_it() -> None:
    decoder = StreamDecoder(ByteTokenizer())
    assert decoder.push(0xE6) == ""
    assert decoder.finish() == "�"


def test_bytes_that_are_not_utf8_decode_to_replacement_characters() -> None:
    assert ByteTokenizer().decode([0x61, 0xFF, 0x62]) == "a�b"


def test_a_given_tokenizer_gets_a_bos_when_it_has_none() -> None:
    def take_away(table: dict) -> None:
        vocabulary = table["model"]["vocab"]
        assert vocabulary.pop("<|bos|>") == 0
        table["model"]["vocab"] = {token: index - 1 for token, index in vocabulary.items()}
        table["added_tokens"] = []

    tokenizer = from_json(given_json(take_away))
    assert (tokenizer.vocab_size, tokenizer.bos, tokenizer.pieces[299]) == (300, 299, b"")
    assert from_json(tokenizer.to_json()).bos == 299


def test_a_given_tokenizer_cannot_cut_or_change_text() -> None:
    def spoil(table: dict) -> None:
        table["truncation"] = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
        table["normalizer"] = {"type": "Lowercase"}

    assert from_json(given_json(spoil)).decode(from_json(given_json(spoil)).encode("A LONG Text")) == "A LONG Text"


def split_by(expression: str) -> Callable[[dict], object]:
    """Words end where the expression says, and are then written as bytes."""
    split = {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}
    bytes_ = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    return lambda table: table.update(pre_tokenizer={"type": "Sequence", "pretokenizers": [split, bytes_]})


def test_a_given_tokenizer_whose_expression_fails_on_a_text_is_one_line() -> None:
    hostile = from_json(given_json(split_by(r"(?:x+x+)+y|.")), where="given.json")
    assert hostile.bytes_of(hostile.encode("sound")) == b"sound"
    with pytest.raises(DataError) as caught:
        hostile.encode("x" * 60)
    assert str(caught.value).startswith("given.json: this tokenizer fails on the text (")
    assert "\n" not in str(caught.value)


def test_a_given_tokenizer_drops_no_merges() -> None:
    dropping = from_json(given_json(lambda table: table["model"].update(dropout=0.9)))
    assert [dropping.encode(SAMPLE[0]).tolist() for _ in range(3)] == [BPE.encode(SAMPLE[0]).tolist()] * 3
    assert json.loads(dropping.to_json())["model"]["dropout"] is None


def test_tokenizers_that_lose_bytes_are_refused() -> None:
    assert "changes the text" in refused(given_json(lambda t: t["model"]["vocab"].pop("~")))
    assert "changes the text" in refused(
        given_json(lambda t: t["pre_tokenizer"]["pretokenizers"][1].update(add_prefix_space=True))
    )
    assert "not made of bytes" in refused(given_json(lambda t: t["model"]["vocab"].update({"▁word": 300})))
    greedy = {"id": 300, "content": "def", "special": False, "lstrip": True, "rstrip": True}
    assert "changes the text" in refused(
        given_json(lambda t: t["added_tokens"].append({**greedy, "single_word": False, "normalized": False}))
    )


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", "[" * 50_000, '{"model": {"type": "BPE"}}', '{"type": "bytes", "schema": 9}', "\ud800"],
)
def test_what_is_no_tokenizer_is_refused_in_one_line(text: str) -> None:
    assert refused(text).startswith("given.json: ")


def test_hostile_vocabularies_are_refused() -> None:
    assert "vocabulary" in refused(given_json(lambda t: t["model"]["vocab"].update(a=10**9)))
    assert "vocabulary" in refused(given_json(lambda t: t["model"]["vocab"].update(a=5)))
    assert "not a usable" in refused(given_json(lambda t: t["model"].update(merges=[["zz", "yy"]])))


def test_a_given_file_must_have_the_configured_size(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(BPE.to_json(), encoding="utf-8")
    for size in (0, 300):
        _, make = choose_tokenizer(Data(tokenizer="file", tokenizer_file=str(path), vocab_size=size))
        assert make([]).vocab_size == 300
    _, make = choose_tokenizer(Data(tokenizer="file", tokenizer_file=str(path), vocab_size=299))
    with pytest.raises(DataError, match=r"has 300 tokens, BOS included, not data.vocab_size = 299"):
        make([])


def test_a_missing_or_binary_tokenizer_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_tokenizer_file(tmp_path / "none.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not UTF-8"):
        read_tokenizer_file(tmp_path / "binary.json")
