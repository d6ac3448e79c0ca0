"""A model on disk becomes an engine."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from nanocore.config.schema import Config
from nanocore.data.tokenizer import Tokenizer
from nanocore.errors import UsageError
from nanocore.infer.backend import Choice, make_backend
from nanocore.infer.engine import Engine
from nanocore.infer.load import load_model
from nanocore.infer.locate import Source
from nanocore.infer.sampler import number
from nanocore.model.bitlinear import freeze
from nanocore.model.transformer import Transformer
from nanocore.runs.spawn import cgroup_quota, thread_count


@dataclass(frozen=True)
class Opened:
    """An engine, the configuration its model was trained with, and where it came from."""

    engine: Engine
    config: Config
    source: Source


def open_engine(source: Source, *, backend: Choice = "auto", threads: int = 0) -> Opened:
    """Load a model and make it ready to generate: its weights are quantised once and must not change.

    `threads` 0 takes as many as this process may use, or fewer where those decode faster. Raises the errors of loading,
    and UsageError for more threads than processors, or when the asked-for backend cannot run this model.
    """
    count = allowed_threads(threads)
    torch.set_num_threads(count)
    if backend == "cuda" and not torch.cuda.is_available():
        raise UsageError("torch finds no GPU here", fix="choose another backend; nanoconsole doctor tells more")
    model, tokenizer, config = read_model(source)
    model.to("cuda" if backend == "cuda" else "cpu")
    freeze(model)  # where it is: codes stay there
    made = make_backend(model, backend, count, fewer_threads=threads == 0)
    return Opened(Engine(model, tokenizer, made), config, source)


def allowed_threads(requested: int) -> int:
    """How many threads compute; 0 chooses. Raises UsageError for more than the processors this process may use.

    Threads that wait for a processor hold up all others at the end of each product: a text would take many times as long.
    """
    processors = min(len(os.sched_getaffinity(0)), cgroup_quota())
    if not 0 <= number("threads", requested, int) <= processors:
        reason = f"threads {requested} is not between 0 and {processors}, the processors this process may use"
        raise UsageError(reason, fix="0 chooses")
    return thread_count(requested)


def read_model(source: Source) -> tuple[Transformer, Tokenizer, Config]:
    """The model, tokenizer and configuration of a checkpoint or of what was exported, in float32 on the CPU."""
    if source.kind == "checkpoint":
        return load_model(source.path)
    from nanocore.export.load import load_gguf, load_hf

    return load_hf(source.path) if source.kind == "hf" else load_gguf(source.path)
