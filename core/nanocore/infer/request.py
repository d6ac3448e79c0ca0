"""What is asked of the engine, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from nanocore.errors import UsageError
from nanocore.infer.sampler import Sampling, number

Finish = Literal["stop", "length", "eos", "cancelled"]


@dataclass(frozen=True)
class Request:
    """At most `tokens` tokens, drawn as `sampling` says, until one of the strings in `stop`.

    `logprobs` keeps each token's log-probability. `speculate` lets the model's prediction heads draft tokens.
    Raises UsageError for a number of tokens that is none or negative, and for a stop string that is no text.
    """

    tokens: int
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    speculate: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokens", number("tokens", self.tokens, int))
        if self.tokens < 0:
            raise UsageError(f"{self.tokens} tokens are less than none")
        for stop in self.stop:
            if not isinstance(stop, str):
                raise UsageError(f"a stop string is of type {type(stop).__name__}, not text")

    def numbered(self, index: int) -> Request:
        """The same for the index-th text of several: it draws with seed + index."""
        return replace(self, sampling=replace(self.sampling, seed=self.sampling.seed + index))


class Drawn(NamedTuple):
    """A token, and the natural logarithm of its probability in the model (0.0 where nobody asked).

    That is the model's own probability: without penalty, temperature and filters.
    """

    token: int
    logprob: float


@dataclass
class Speculation:
    """How drafts fared: `accepted` of `drafted` tokens; `drawn` tokens came of `forwards` readings of the model."""

    drafted: int = 0
    accepted: int = 0
    drawn: int = 0
    forwards: int = 0

    @property
    def acceptance(self) -> float:
        """Share of the drafted tokens that were accepted."""
        return self.accepted / max(self.drafted, 1)

    @property
    def tokens_per_forward(self) -> float:
        return self.drawn / max(self.forwards, 1)


@dataclass(frozen=True)
class Completion:
    """A finished text.

    `finish` says why it ended: a stop string, the most tokens, the model's own end (`eos`: it drew the token that begins
    the next document), or somebody cancelled it. `tokens` are all that were drawn, those of a stop string too, but not
    the end token; `logprobs` has one number for each, or is empty. `prompt_tokens` counts BOS and the whole prompt, of
    which the first `prompt_cut` were not read: the context has no room for them.
    """

    text: str
    finish: Finish
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...] = ()
    prompt_tokens: int = 0
    prompt_cut: int = 0
    speculation: Speculation | None = None
