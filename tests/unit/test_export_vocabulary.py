"""The tokenizer inside a GGUF file: every token, every merge, and the rule by which text is split."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nanocore.data.bpe import train_bpe
from nanocore.data.tokenizer import ByteTokenizer, Tokenizer, from_json
from nanocore.export.gguf_read import read_gguf
from nanocore.export.vocabulary import GPT2, splitting_of, vocabulary_keys
from tests.exports import export, exported_model

SAMPLE = ["def add(first, second):\n    return first + second\n" * 20, "the quick brown fox, 1234 times\n" * 20]
BPE = train_bpe(SAMPLE, 300)


def with_rule(pattern: str | None, *, ignore_merges: bool = False) -> Tokenizer:
    """Like the trained tokenizer, with another rule of splitting."""
    table = json.loads(BPE.to_json())
    table["model"]["ignore_merges"] = ignore_merges
    whole = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": pattern is None}
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    table["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, whole]} if pattern else whole
    return from_json(json.dumps(table))


def test_tokens_and_merges_are_those_of_the_tokenizer() -> None:
    keys = vocabulary_keys(BPE)
    tokens = keys["tokenizer.ggml.tokens"]
    assert len(tokens) == 300 and len(set(tokens)) == 300
    assert tokens[BPE.bos] == "<|bos|>" and keys["tokenizer.ggml.token_type"][BPE.bos] == 3
    merges = [tuple(each.split(" ")) for each in keys["tokenizer.ggml.merges"]]
    assert len(merges) == 300 - 257 and all("".join(pair) in tokens for pair in merges)
    assert keys["tokenizer.ggml.eos_token_id"] == keys["tokenizer.ggml.bos_token_id"] == BPE.bos


def test_bytes_have_one_merge_that_merges_nothing() -> None:
    keys = vocabulary_keys(ByteTokenizer())
    (merge,) = keys["tokenizer.ggml.merges"]
    assert "".join(merge.split(" ")) not in keys["tokenizer.ggml.tokens"]
    assert keys["tokenizer.ggml.tokens"][ord(" ")] == "Ġ" and len(keys["tokenizer.ggml.tokens"]) == 257


@pytest.mark.parametrize(
    ("tokenizer", "name"),
    [
        (BPE, "qwen2"),
        (ByteTokenizer(), "gpt-2"),
        (with_rule(None), "gpt-2"),
        (with_rule(GPT2), "gpt-2"),
    ],
)
def test_known_rules_of_splitting_have_exactly_their_name(tokenizer: Tokenizer, name: str) -> None:
    splitting = splitting_of(tokenizer)
    assert (splitting.name, splitting.exact) == (name, True)


def test_an_unknown_rule_gets_the_nearest_name_and_says_how_near(tmp_path: Path) -> None:
    tokenizer = with_rule(r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")  # GPT-2's without contractions
    splitting = splitting_of(tokenizer)
    assert splitting.name == "gpt-2" and not splitting.exact and splitting.agreement > 0.98
    other = splitting_of(with_rule(r"\S+|\s+"))
    assert not other.exact and other.agreement < splitting.agreement
    report = export(exported_model(vocabulary=300), tmp_path / "x.gguf", tokenizer)
    assert any("some tokens differ" in note for note in report.notes)


def test_a_given_tokenizer_comes_back_as_it_was(tmp_path: Path) -> None:
    table = json.loads(BPE.to_json())
    words = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    table["added_tokens"].append({"id": 300, "content": "<|tool|>", "special": False, **words})
    tokenizer = from_json(json.dumps(table))
    keys = vocabulary_keys(tokenizer)
    assert keys["tokenizer.ggml.tokens"][300:] == ["<|tool|>"]
    assert keys["tokenizer.ggml.token_type"][300:] == [4]
    export(exported_model(vocabulary=301), tmp_path / "x.gguf", tokenizer)
    read = read_gguf(tmp_path / "x.gguf")
    text = "the quick <|tool|> fox"
    assert read.tokenizer.encode(text).tolist() == tokenizer.encode(text).tolist()
    assert read.tokenizer_json == tokenizer.to_json()


def test_ids_without_a_token_are_marked_unused() -> None:
    table = json.loads(BPE.to_json())
    table["model"]["vocab"]["Ġ~~"] = 301
    keys = vocabulary_keys(from_json(json.dumps(table)))
    assert keys["tokenizer.ggml.tokens"][300:] == ["[unused300]", "Ġ~~"]
    assert keys["tokenizer.ggml.token_type"][300:] == [5, 1]
