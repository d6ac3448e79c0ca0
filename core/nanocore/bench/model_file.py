"""Files of models with random weights, exported as trained ones are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from nanocore.config.resolve import resolve
from nanocore.config.schema import Config
from nanocore.config.validate import build
from nanocore.data.bpe import PATTERN
from nanocore.data.byte_level import ByteLevelTokenizer, byte_alphabet
from nanocore.export.architecture import STOCK
from nanocore.export.gguf_write import export_gguf
from nanocore.model.transformer import Transformer

SHAPE = {"d_model": 768, "n_layers": 16, "n_heads": 12, "n_kv_heads": 4, "d_ff": 2048, "context_length": 512}
QUICK_SHAPE = {"d_model": 256, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "d_ff": 512, "context_length": 128}


@dataclass(frozen=True)
class Exported:
    """A file, and why llama.cpp cannot run it, where it cannot."""

    name: str
    path: Path
    architecture: str
    foreign: str


def configurations(*, quick: bool) -> dict[str, Config]:
    """The models by name; with `quick` a small one in their place."""
    if quick:
        return {"256 x 2 layers": build({"model": QUICK_SHAPE, "data": {"tokenizer": "bpe", "vocab_size": 512}})}
    measured = build({"model": SHAPE, "data": {"tokenizer": "bpe", "vocab_size": 4096}})
    return {"768 x 16 layers": measured, "nano-125m": resolve("nano-125m")}


def make(name: str, config: Config, folder: Path) -> Exported:
    """The model with random weights as a GGUF file with a head in float16; of a stock architecture if it can be."""
    tokenizer = pair_tokenizer(config.data.vocab_size)
    model = Transformer(config, tokenizer.vocab_size)
    model.initialise(0)
    report = export_gguf(model.eval(), tokenizer, config, folder / "model.gguf", head="f16", overwrite=True)
    foreign = "" if report.architecture in STOCK else "not run: no stock architecture computes this model"
    return Exported(name, report.path, report.architecture, foreign)


def pair_tokenizer(size: int) -> ByteLevelTokenizer:
    """A tokenizer of so many tokens: bytes, pairs of bytes as they come, and BOS. Its text means nothing."""
    alphabet = list(byte_alphabet())
    pairs = list(islice(product(alphabet, alphabet), size - len(alphabet) - 1))
    vocabulary = {token: index for index, token in enumerate([*alphabet, *map("".join, pairs)])}
    inner = tokenizers.Tokenizer(models.BPE(vocabulary, pairs))
    words = pre_tokenizers.Split(tokenizers.Regex(PATTERN), behavior="isolated")
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.pre_tokenizer = pre_tokenizers.Sequence([words, as_bytes])  # type: ignore[assignment]
    inner.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    return ByteLevelTokenizer(inner, where="the benchmark's tokenizer")
