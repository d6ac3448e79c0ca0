"""A model on disk becomes an engine."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nanocore.config.schema import Config
from nanocore.data.tokenizer import Tokenizer
from nanocore.infer.backend import Choice, make_backend
from nanocore.infer.engine import Engine
from nanocore.infer.load import load_model
from nanocore.infer.locate import Source
from nanocore.model.bitlinear import freeze
from nanocore.model.transformer import Transformer
from nanocore.runs.spawn import thread_count


@dataclass(frozen=True)
class Opened:
    """An engine, the configuration its model was trained with, and where it came from."""

    engine: Engine
    config: Config
    source: Source


def open_engine(source: Source, *, backend: Choice = "auto", threads: int = 0) -> Opened:
    """Load a model and make it ready to generate: its weights are quantised once and must not change.

    `threads` 0 takes as many as this process may use. Raises the errors of loading, and UsageError when the asked-for
    backend cannot run this model.
    """
    count = thread_count(threads)
    torch.set_num_threads(count)
    model, tokenizer, config = read_model(source)
    freeze(model)
    return Opened(Engine(model, tokenizer, make_backend(model, backend, count)), config, source)


def read_model(source: Source) -> tuple[Transformer, Tokenizer, Config]:
    """The model, tokenizer and configuration of a checkpoint or a GGUF file, in float32 on the CPU."""
    if source.kind == "checkpoint":
        return load_model(source.path)
    from nanocore.export.load import load_gguf

    return load_gguf(source.path)
