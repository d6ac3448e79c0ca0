"""Our tokenizers as ggml's: tokens, merges, and the name of the rule that splits text before merging.

Text is split into pieces by a regular expression, and merges never cross pieces. llama.cpp knows a fixed list of such
expressions by name (`tokenizer.ggml.pre`); with the same one its tokens are ours.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import tokenizers
from tokenizers import pre_tokenizers

from nanocore.data.bpe import PATTERN
from nanocore.data.byte_level import PROBE, byte_alphabet
from nanocore.data.tokenizer import BOS_TEXT, ByteTokenizer, Tokenizer

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5  # ggml's kinds of tokens
WORDS = r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
# Regular expression and whether whole pieces skip the merges -> llama.cpp's name.
RULES = {
    (PATTERN, False): "qwen2",
    (ENDINGS + WORDS % "", False): "qwen2",
    (ENDINGS + WORDS % "{1,3}", True): "llama-bpe",
    (ENDINGS + WORDS % "{1,3}", False): "dbrx",
    (GPT2, False): "gpt-2",
}
SAMPLE = PROBE + "def total(values):\n    return sum(values) + 1234 # it's 2026\n\n\n\tif x != y: print('ok')  \n"


@dataclass(frozen=True)
class Splitting:
    """llama.cpp's name of a rule, and the share of borders between pieces it has in common with ours on SAMPLE."""

    name: str
    agreement: float

    @property
    def exact(self) -> bool:
        return self.agreement == 1.0


def vocabulary_keys(tokenizer: Tokenizer) -> dict[str, Any]:
    """The keys tokenizer.ggml.* of a tokenizer."""
    tokens, types = _tokens(tokenizer)
    splitting = splitting_of(tokenizer)
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": splitting.name,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": _merges(tokenizer),
        "tokenizer.ggml.bos_token_id": tokenizer.bos,
        "tokenizer.ggml.eos_token_id": tokenizer.bos,  # drawn, it ends a text: the border to another document
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.add_eos_token": False,
        "tokenizer.ggml.add_space_prefix": False,
        "nanoconsole.tokenizer_agreement": splitting.agreement,
    }


def splitting_of(tokenizer: Tokenizer) -> Splitting:
    """The same rule, or of llama.cpp's the one nearest to ours. Bytes are not split at all: any rule is the same."""
    if isinstance(tokenizer, ByteTokenizer):
        return Splitting("gpt-2", 1.0)
    table = json.loads(tokenizer.to_json())
    skips = bool(table["model"].get("ignore_merges", False))
    expression = _expression(table["pre_tokenizer"])
    if (expression, skips) in RULES:
        return Splitting(RULES[expression, skips], 1.0)
    ours = tokenizers.Tokenizer.from_str(tokenizer.to_json()).pre_tokenizer
    shares = {RULES[rule]: _common(ours, _splitter(rule[0])) for rule in RULES if rule[1] == skips}
    best = max(shares, key=lambda name: shares[name])
    return Splitting(best, min(shares[best], 0.999))  # never exact: the sample may lack what differs


def _tokens(tokenizer: Tokenizer) -> tuple[list[str], list[int]]:
    """Text and kind of each id. Ids that stand for nothing get a name that no text has."""
    tokens, types = [f"[unused{index}]" for index in range(tokenizer.vocab_size)], [UNUSED] * tokenizer.vocab_size
    if isinstance(tokenizer, ByteTokenizer):
        known = {value: (text, NORMAL) for text, value in byte_alphabet().items()} | {
            tokenizer.bos: (BOS_TEXT, CONTROL)
        }
    else:
        table = json.loads(tokenizer.to_json())
        known = {index: (text, NORMAL) for text, index in table["model"]["vocab"].items()}
        for token in table["added_tokens"]:
            known[token["id"]] = (token["content"], CONTROL if token["special"] else USER_DEFINED)
    for index, (text, kind) in known.items():
        tokens[index], types[index] = text, kind
    return tokens, types


def _merges(tokenizer: Tokenizer) -> list[str]:
    """The merges in order. llama.cpp wants one at least: one of two BOS, which no text holds, merges nothing."""
    table = {} if isinstance(tokenizer, ByteTokenizer) else json.loads(tokenizer.to_json())
    merges = table.get("model", {}).get("merges", [])
    return [each if isinstance(each, str) else " ".join(each) for each in merges] or [f"{BOS_TEXT} {BOS_TEXT}"]


def _expression(pre: dict[str, Any] | None) -> str:
    """The regular expression that a byte-level pre-tokenizer splits by, "" when it is of another form."""
    parts = [pre or {}] if (pre or {}).get("type") != "Sequence" else (pre or {})["pretokenizers"]
    if len(parts) == 1 and parts[0].get("type") == "ByteLevel" and not parts[0]["add_prefix_space"]:
        return GPT2 if parts[0]["use_regex"] else ""
    kinds = [part.get("type") for part in parts]
    if kinds != ["Split", "ByteLevel"] or parts[0]["behavior"] != "Isolated" or parts[0]["invert"]:
        return ""
    plain = not parts[1]["add_prefix_space"] and not parts[1]["use_regex"]
    return str(parts[0]["pattern"].get("Regex", "")) if plain else ""


def _splitter(expression: str) -> pre_tokenizers.PreTokenizer:
    words = pre_tokenizers.Split(tokenizers.Regex(expression), behavior="isolated")
    return pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _common(ours: Any, theirs: Any) -> float:
    """Borders of pieces in both, over borders in either."""
    ends = [
        {end for _, (_, end) in splitter.pre_tokenize_str(SAMPLE)} if splitter else set() for splitter in (ours, theirs)
    ]
    return len(ends[0] & ends[1]) / max(1, len(ends[0] | ends[1]))
