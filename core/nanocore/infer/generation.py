"""One text while it is generated: an iterator over its pieces, and the completion at the end."""

from __future__ import annotations

from collections.abc import Iterator

from nanocore.infer.request import Completion, Drawn, Speculation
from nanocore.infer.transcript import Transcript


class Generation:
    """`for piece in generation`: text as soon as it is certain. May be iterated once; `completion` is the text so far."""

    def __init__(
        self,
        drawn: Iterator[Drawn],
        transcript: Transcript,
        prompt_tokens: int,
        prompt_cut: int,
        speculation: Speculation | None = None,
    ) -> None:
        self._drawn, self._transcript = drawn, transcript
        self._prompt_tokens, self._prompt_cut, self._speculation = prompt_tokens, prompt_cut, speculation
        self._cancelled = False

    def __iter__(self) -> Iterator[str]:
        while self._transcript.finish is None and not self._cancelled:
            if text := self._transcript.push(next(self._drawn)):
                yield text
        if rest := self._transcript.end("cancelled"):
            yield rest

    @property
    def tokens(self) -> int:
        """How many were drawn so far."""
        return self._transcript.tokens

    def cancel(self) -> None:
        """End the text after the token that is being computed; from any thread."""
        self._cancelled = True

    def finished(self) -> Completion:
        """All of it at once."""
        for _ in self:
            pass
        return self.completion()

    def completion(self) -> Completion:
        """The text, as far as it was iterated; what is not finished ends here as cancelled."""
        return self._transcript.completion(self._prompt_tokens, self._prompt_cut, self._speculation)
