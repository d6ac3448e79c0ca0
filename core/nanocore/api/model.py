"""`nanocore.load`: a trained model to generate with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from os import PathLike
from typing import Any, Literal, TypedDict, Unpack, overload

from torch import Tensor

from nanocore.api.arguments import one_of
from nanocore.api.source import located
from nanocore.data.tokenizer import Tokenizer
from nanocore.errors import UsageError
from nanocore.infer.backend import Choice
from nanocore.infer.generation import Generation
from nanocore.infer.open import Opened, open_engine
from nanocore.infer.request import Completion, Request
from nanocore.infer.sampler import Sampling, number


class Settings(TypedDict, total=False):
    """How `Model.generate` writes; all may be left out. Sampling says what each of the others does."""

    tokens: int  # at most so many: 200
    stop: str | Sequence[str]  # the text ends before one of these
    logprobs: bool  # keep each token's log-probability
    speculate: bool  # prediction heads draft tokens
    temperature: float  # 0.8
    top_k: int  # 50
    top_p: float
    min_p: float
    repetition_penalty: float
    repetition_window: int
    seed: int


class Model:
    """A loaded model. It generates one text at a time: threads that share it wait for each other, text by text.

    While one streams, whatever another thread asks for ends that stream with a UsageError.
    """

    def __init__(self, opened: Opened) -> None:
        self._engine = opened.engine
        self.config = opened.config  # what it was trained with
        self.source = opened.source

    def __repr__(self) -> str:
        return f"<nanocore.Model {self.source.label}, {self.backend}>"

    @property
    def tokenizer(self) -> Tokenizer:
        return self._engine.tokenizer

    @property
    def backend(self) -> str:
        """What computes, and why: `native avx2`, or `torch (not native: ...)`."""
        backend = self._engine.backend
        return backend.name + (f" ({backend.reason})" if backend.reason else "")

    @overload
    def generate(self, prompt: str, *, stream: Literal[False] = False, **settings: Unpack[Settings]) -> Completion: ...
    @overload
    def generate(
        self, prompt: list[str] | tuple[str, ...], *, stream: Literal[False] = False, **settings: Unpack[Settings]
    ) -> list[Completion]: ...
    @overload
    def generate(self, prompt: str, *, stream: Literal[True], **settings: Unpack[Settings]) -> Generation: ...

    def generate(
        self, prompt: str | list[str] | tuple[str, ...], *, stream: bool = False, **settings: Unpack[Settings]
    ) -> Completion | list[Completion] | Generation:
        """Text after a prompt; `settings` are those of Settings.

        A prompt longer than the context is read from its end; the completion's `prompt_cut` tells how many tokens were
        left out. Several prompts give a list; the i-th draws with seed + i. With `stream` the result is an iterator over pieces of
        text, whose `completion()` tells the rest. Raises UsageError for values out of range.
        """
        request = _request(**settings)
        if isinstance(prompt, list | tuple):
            if stream:
                raise UsageError("only one prompt can be streamed", fix="give them one by one")
            return self._engine.complete(prompt, request)
        return self._engine.generate(prompt, request) if stream else self._engine.complete([prompt], request)[0]

    def logits(self, text: str | Iterable[int] | Tensor) -> Tensor:
        """Logits (T, V) in float32; row t is about the token after the first t + 1.

        A text is read behind BOS, so row 0 is about its first token; token ids, a Tensor (T,) or any other sequence, are read
        as they are. Raises UsageError when they do not fit the context length.
        """
        given = text.tolist() if isinstance(text, Tensor) else text
        tokens = given if isinstance(given, Iterable) and not isinstance(given, str) else self._engine.encode(given)
        return self._engine.logits([number("a token", token, int) for token in tokens])


def load(
    path: str | PathLike[str],
    step: int | Literal["latest", "best"] = "latest",
    *,
    backend: Choice = "auto",
    threads: int = 0,
    exit_threshold: float | None = None,
) -> Model:
    """A model from a run (its name or folder), a checkpoint's folder, or a GGUF file.

    `step` chooses a run's checkpoint; "best" has the lowest held-out loss. `backend` "native" refuses where "auto"
    falls back to torch. `threads` 0 takes as many as this process may use, more are refused; torch's own number is
    set too. `exit_threshold` (0 to 1) is for a looped model: at which exit probability a token leaves, in place of the
    setting that it was trained with. Raises UsageError, CheckpointError or FormatError, each one line; where a damaged checkpoint was passed over
    for an earlier one, that is a CheckpointWarning.
    """
    one_of(Choice, backend=backend)
    opened = open_engine(located(path, step), backend=backend, threads=threads, exit_threshold=exit_threshold)
    return Model(opened)


def _request(
    tokens: int = 200,
    stop: str | Sequence[str] = (),
    top_k: int = 50,
    logprobs: bool = False,
    speculate: bool = False,
    **sampling: Any,
) -> Request:
    """Raises UsageError for a setting that does not exist, or a value out of range."""
    known = {field.name for field in fields(Sampling)}
    if unknown := sampling.keys() - known:
        raise UsageError(f"{min(unknown)!r} is no setting", fix=f"they are {', '.join(Settings.__annotations__)}")
    stops = tuple(stop) if isinstance(stop, Iterable) and not isinstance(stop, str) else (stop,)
    return Request(tokens, Sampling(top_k=top_k, **sampling), stops, logprobs, speculate)
