"""The section `data` of a configuration: where text comes from, and how it becomes tokens."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nanocore.config.section import Section


class Source(Section):
    """One source of text."""

    kind: Literal["stdlib", "files", "jsonl", "parquet", "synthetic"] = Field(
        default="stdlib",
        description="Where text comes from: this Python's own library source, files, JSON lines, Parquet, or seeded synthetic text.",
    )
    paths: list[str] = Field(default_factory=list, description="Globs of files, for files, jsonl and parquet.")
    column: str = Field(default="text", description="The key (jsonl) or column (parquet) that holds the text.")
    weight: float = Field(
        default=1.0,
        gt=0.0,
        le=1e6,
        description="Share of training tokens drawn from this source, against the others' weights.",
    )
    documents: int = Field(default=256, ge=2, le=10_000_000, description="Number of documents, for synthetic.")
    seed: int = Field(
        default=0, ge=0, le=2**31 - 1, description="For synthetic: sources of different seeds share no document."
    )


class Data(Section):
    """The text, its tokens, and how they reach the trainer."""

    sources: list[Source] = Field(
        default_factory=lambda: [Source()], min_length=1, max_length=64, description="Sources of text, mixed by weight."
    )
    tokenizer: Literal["bytes", "bpe", "file"] = Field(
        default="bytes", description="Raw bytes, byte-level BPE trained on the corpus, or a given tokenizer.json."
    )
    vocab_size: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description="Tokens in the vocabulary, specials included; 0 means the tokenizer's own (bytes: 257).",
    )
    tokenizer_file: str = Field(default="", description='Path of the tokenizer.json, for tokenizer = "file".')
    validation_fraction: float = Field(
        default=0.05, gt=0.0, lt=0.5, description="Share of documents held out, chosen by a hash of their text."
    )
    isolate_documents: bool = Field(
        default=True, description="Attention, positions and recurrent state do not cross documents."
    )
    workers: int = Field(
        default=1,
        ge=0,
        le=64,
        description="Threads that prepare batches ahead; 0 prepares each batch when it is needed.",
    )
    prefetch: int = Field(default=4, ge=1, le=1024, description="Batches kept ready.")
