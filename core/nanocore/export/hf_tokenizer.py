"""Our tokenizers as the files that transformers reads; BOS is put before every text, as in training."""

from __future__ import annotations

import json
from typing import Any

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors

from nanocore.data.byte_level import byte_alphabet
from nanocore.data.tokenizer import BOS_TEXT, ByteTokenizer, Tokenizer


def tokenizer_files(tokenizer: Tokenizer, context_length: int) -> dict[str, Any]:
    """Contents of tokenizer.json and tokenizer_config.json."""
    inner = (
        _bytes(tokenizer)
        if isinstance(tokenizer, ByteTokenizer)
        else tokenizers.Tokenizer.from_str(tokenizer.to_json())
    )
    bos = inner.id_to_token(tokenizer.bos)
    assert bos is not None
    single = f"{bos} $A"
    inner.post_processor = processors.TemplateProcessing(
        single=single, pair=f"{single} {bos} $B", special_tokens=[(bos, tokenizer.bos)]
    )  # type: ignore[assignment]
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": bos,
        "eos_token": bos,
        "model_max_length": context_length,
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],  # `generate` refuses token types
    }
    return {"tokenizer.json": json.loads(inner.to_str()), "tokenizer_config.json": settings}


def _bytes(tokenizer: Tokenizer) -> tokenizers.Tokenizer:
    """The 256 bytes as a BPE without merges."""
    inner = tokenizers.Tokenizer(models.BPE(vocab=byte_alphabet(), merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)  # type: ignore[assignment]
    inner.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    inner.add_special_tokens([tokenizers.AddedToken(BOS_TEXT, special=True, normalized=False)])
    assert inner.token_to_id(BOS_TEXT) == tokenizer.bos
    return inner
