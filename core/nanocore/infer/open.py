"""A model on disk becomes an engine."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nanocore.config.schema import Config
from nanocore.config.validate import build
from nanocore.data.tokenizer import Tokenizer
from nanocore.errors import ConfigError, UsageError
from nanocore.infer.backend import Choice, make_backend
from nanocore.infer.engine import Engine
from nanocore.infer.load import load_model
from nanocore.infer.locate import Source
from nanocore.infer.sampler import number
from nanocore.model.bitlinear import freeze
from nanocore.model.transformer import Transformer
from nanocore.runs.processors import refuse_threads
from nanocore.runs.spawn import thread_count


@dataclass(frozen=True)
class Opened:
    """An engine, the configuration its model was trained with, and where it came from."""

    engine: Engine
    config: Config
    source: Source


def open_engine(
    source: Source, *, backend: Choice = "auto", threads: int = 0, exit_threshold: float | None = None
) -> Opened:
    """Load a model and make it ready to generate: its weights are quantised once and must not change.

    `threads` 0 takes as many as this process may use, or fewer where those decode faster. `exit_threshold` stands in the
    place of the configuration's `loop.exit_threshold`. Raises the errors of loading, UsageError for more threads than
    processors, and when the asked-for backend cannot run this model or its tokens cannot leave a loop.
    """
    count = allowed_threads(threads)
    torch.set_num_threads(count)
    if backend == "cuda" and not torch.cuda.is_available():
        raise UsageError("torch finds no GPU here", fix="choose another backend; nanoconsole doctor tells more")
    model, tokenizer, config = read_model(source)
    if exit_threshold is not None:
        model.config = config = leaving_at(config, exit_threshold)
    model.to("cuda" if backend == "cuda" else "cpu")
    freeze(model)  # where it is: codes stay there
    made = make_backend(model, backend, count, fewer_threads=threads == 0)
    return Opened(Engine(model, tokenizer, made), config, source)


def leaving_at(config: Config, threshold: float) -> Config:
    """The configuration with another threshold at which tokens leave the loop. Raises UsageError where none can."""
    if config.loop.count < 2:
        raise UsageError("this model has no loop to leave", where="exit threshold", fix="leave it out")
    number("exit threshold", threshold, float)
    table = config.model_dump()
    table["loop"]["exit_threshold"] = threshold
    try:
        return build(table)
    except ConfigError as error:
        raise UsageError(error.problems[0], where="exit threshold") from None


def allowed_threads(requested: int) -> int:
    """How many threads compute; 0 chooses. Raises UsageError for more than the processors this process may use."""
    refuse_threads(number("threads", requested, int))
    return thread_count(requested)


def read_model(source: Source) -> tuple[Transformer, Tokenizer, Config]:
    """The model, tokenizer and configuration of a checkpoint or of what was exported, in float32 on the CPU."""
    if source.kind == "checkpoint":
        return load_model(source.path)
    from nanocore.export.load import load_gguf, load_hf

    return load_hf(source.path) if source.kind == "hf" else load_gguf(source.path)
