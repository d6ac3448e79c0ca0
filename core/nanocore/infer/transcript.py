"""Tokens become text that can be shown: whole characters, up to a stop string, an end token or a number of tokens."""

from __future__ import annotations

from nanocore.data.tokenizer import StreamDecoder, Tokenizer
from nanocore.infer.request import Completion, Drawn, Finish, Request, Speculation
from nanocore.infer.stops import StopFilter


class Transcript:
    """One text while it is drawn; `finish` is set once it has ended."""

    def __init__(self, tokenizer: Tokenizer, request: Request) -> None:
        self._decoder, self._stops = StreamDecoder(tokenizer), StopFilter(request.stop)
        self._end_token, self._request = tokenizer.bos, request
        self._drawn: list[Drawn] = []
        self._shown: list[str] = []
        self.finish: Finish | None = None
        if request.tokens <= 0:
            self.end("length")

    @property
    def tokens(self) -> int:
        """How many tokens it has, without the end token."""
        return len(self._drawn)

    def push(self, drawn: Drawn) -> str:
        """Add a token; the text that can be shown now, perhaps none."""
        if drawn.token == self._end_token:
            return self.end("eos")
        self._drawn.append(drawn)
        text = self._show(self._stops.push(self._decoder.push(drawn.token)))
        if self._stops.stopped:
            return text + self.end("stop")
        return text + self.end("length") if len(self._drawn) == self._request.tokens else text

    def end(self, finish: Finish) -> str:
        """Nothing more comes, for this reason; the text that was held back."""
        if self.finish is not None:
            return ""
        self.finish = finish
        rest = self._stops.push(self._decoder.finish())
        if self._stops.stopped:  # an unfinished character can complete a stop string
            self.finish = "stop"
        return self._show(rest + self._stops.finish())

    def completion(self, prompt_tokens: int, prompt_cut: int, speculation: Speculation | None = None) -> Completion:
        """The text as it ended; one that has not is cancelled. See Completion for what is told of the prompt."""
        self.end("cancelled")
        assert self.finish is not None
        logprobs = tuple(drawn.logprob for drawn in self._drawn) if self._request.logprobs else ()
        tokens = tuple(drawn.token for drawn in self._drawn)
        return Completion("".join(self._shown), self.finish, tokens, logprobs, prompt_tokens, prompt_cut, speculation)

    def _show(self, text: str) -> str:
        self._shown.append(text)
        return text
