"""The text so far, the part of it that the model reads, and what of that the backend holds."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from nanocore.infer.backend import Backend


class Window:
    """The last tokens of a text, at most `room`; a full window begins anew with its newer half.

    `text` is all of it. `held` tokens of the window are in the backend. With `reuse` a backend that holds the beginning
    of the window already keeps it.
    """

    def __init__(self, backend: Backend, tokens: Sequence[int], room: int, known: Sequence[int] = ()) -> None:
        """`known` is what the backend holds and may be kept of it; all else is forgotten."""
        self.text, self.room = list(tokens), room
        self.tokens, self._backend = self.text[-room:], backend
        self._ahead: list[int] = []  # tokens the backend has read that are not in the window yet
        same = _common(known, self.tokens[:-1])  # the last one is read again: its logits are wanted
        self.held = same if backend.rewinds or same == backend.length else 0
        backend.truncate(self.held)

    @property
    def free(self) -> int:
        """How many tokens find a place before the window is full."""
        return self.room - len(self.tokens)

    def push(self, token: int) -> None:
        """Add a token; what the backend read ahead counts as far as it agrees."""
        if not self.free:
            self.tokens, self.held, self._ahead = self.tokens[-(self.room // 2) :], 0, []
            self._backend.truncate(0)
        self.text.append(token)
        self.tokens.append(token)
        if self._ahead and self._ahead.pop(0) == token:
            self.held += 1
        else:
            self._forget_ahead()

    def logits(self) -> Tensor:
        """Logits (V,) of the token after the text; reads what the backend does not hold yet."""
        self._forget_ahead()
        logits = self._backend.forward(self.tokens[self.held :])
        self.held = len(self.tokens)
        return logits

    def logits_ahead(self, drafts: Sequence[int], *, every: bool) -> Tensor:
        """Logits (K + 1, V) of the tokens after the text and after each of K drafts, at most `free`; reads all of them.

        The backend then gives the hidden states of these K + 1 tokens, or with `every` of all that was not read before.
        """
        self._forget_ahead()
        unread = self.tokens[self.held :]
        if not every and len(unread) > 1:
            self._backend.forward(unread[:-1])
            unread = unread[-1:]
        logits = self._backend.forward([*unread, *drafts], every=True)
        self.held, self._ahead = len(self.tokens), list(drafts)
        return logits[len(unread) - 1 :]

    def _forget_ahead(self) -> None:
        self._ahead = []
        if self._backend.length > self.held:
            self._backend.truncate(self.held)


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two texts have in common at their beginning."""
    pairs = zip(first, second, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))
