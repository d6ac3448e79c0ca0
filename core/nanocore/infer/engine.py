"""The one engine: a model, its tokenizer and a backend; text and logits come out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from nanocore.data.tokenizer import Tokenizer
from nanocore.errors import UsageError
from nanocore.infer.backend import Backend, TorchBackend
from nanocore.infer.batch import batched
from nanocore.infer.generation import Generation
from nanocore.infer.plain import plain
from nanocore.infer.request import Completion, Drawn, Request, Speculation
from nanocore.infer.sampler import Sampler
from nanocore.infer.speculate import drafter_for, speculative
from nanocore.infer.transcript import Transcript
from nanocore.infer.window import Window
from nanocore.model.transformer import Transformer

SIDE_BY_SIDE = 32  # texts of a batch that are read at once; more would only take memory


class Engine:
    """Generates with weights that do not change any more; the caller has frozen them or keeps them still.

    One text is generated at a time: beginning another ends the one before.
    """

    def __init__(self, model: Transformer, tokenizer: Tokenizer, backend: Backend | None = None) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.backend = backend or TorchBackend(model)
        self._window: Window | None = None

    def encode(self, text: str) -> list[int]:
        """BOS and the tokens of a text: what the model reads for a prompt. Raises UsageError for what is no text."""
        if not isinstance(text, str):
            raise UsageError(f"a prompt is of type {type(text).__name__}, not text")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UsageError("a prompt holds surrogates, which are no text", fix="decode it as UTF-8") from None
        return [self.tokenizer.bos, *self.tokenizer.encode(text).tolist()]

    def generate(self, prompt: str, request: Request, *, reuse: bool = False) -> Generation:
        """Text after a prompt, or after its last `context_length` tokens where it is longer: then `prompt_cut` tells it.

        It ends early where the model draws BOS, the border to another document. A full context begins anew with its newer
        half. With `reuse` the beginning that this prompt shares with the text before is not read again, which can
        change roundings. Drafting heads know nothing of that beginning: with `speculate` all is read again.
        """
        tokens = self.encode(prompt)
        sampler = Sampler(request.sampling, exempt=self.tokenizer.bos)
        record = Speculation() if request.speculate else None
        drafter = drafter_for(self.model, self.backend) if request.speculate else None
        known = self._window.tokens[: self._window.held] if reuse and self._window and not drafter else ()
        self._window = window = Window(self.backend, tokens, self.model.config.model.context_length, known)
        if drafter is None or record is None:
            drawn = plain(window, sampler, logprobs=request.logprobs)
        else:
            drawn = speculative(window, self.backend, drafter, sampler, record, logprobs=request.logprobs)
        drawn = self._while_newest(window, drawn)
        cut = len(tokens) - len(window.tokens)  # before anything is drawn
        return Generation(drawn, Transcript(self.tokenizer, request), len(tokens), cut, record)

    def _while_newest(self, window: Window, drawn: Iterator[Drawn]) -> Iterator[Drawn]:
        """Each token, as long as no other text was begun: the backend holds one."""
        for each in drawn:
            yield each
            if self._window is not window:
                raise UsageError("another text was begun before this one ended", fix="take all of it first")

    def complete(self, prompts: Sequence[str], request: Request) -> list[Completion]:
        """Each prompt completed; the i-th draws with seed + i.

        They are read side by side by torch, or one after another by another backend, with recurrent layers, or when
        heads draft.
        """
        requests = [request.numbered(index) for index in range(len(prompts))]
        side_by_side = isinstance(self.backend, TorchBackend) and self.backend.rewinds and not request.speculate
        if not side_by_side or len(prompts) == 1:
            return [self.generate(prompt, each).finished() for prompt, each in zip(prompts, requests, strict=True)]
        tokens, completions = [self.encode(prompt) for prompt in prompts], []
        for start in range(0, len(prompts), SIDE_BY_SIDE):
            part = slice(start, start + SIDE_BY_SIDE)
            completions += batched(self.model, self.tokenizer, tokens[part], requests[part])
        return completions

    def logits(self, tokens: Sequence[int]) -> Tensor:
        """Logits (T, V) of the token after each of T given ones. UsageError for none, too many, or unknown ones."""
        room, size = self.model.config.model.context_length, self.model.vocab_size
        if not 0 < len(tokens) <= room:
            raise UsageError(f"{len(tokens)} tokens are not between 1 and the context length {room}")
        if not all(0 <= token < size for token in tokens):
            raise UsageError(f"a token is not between 0 and {size - 1}, the vocabulary")
        self._window = None
        self.backend.truncate(0)
        return self.backend.forward(tokens, every=True).cpu()
