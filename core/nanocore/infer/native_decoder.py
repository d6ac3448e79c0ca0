"""The engine's native backend: one text, read by the native decoder in one call for each call of `forward`."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from nanocore.infer.packed_model import PackedModel, Unsupported, pack_model
from nanocore.model.room import room
from nanocore.model.transformer import Transformer
from nanokernels import native
from nanokernels.decoder import Decoder


class NativeDecoder:
    """Reads the tokens of one text, in as many pieces as they come; it owns their cache.

    `length` tokens are held, `room` is the most there can be: at most the context length, which is the default. Memory
    for them is taken as they come. Several decoders may share one packed model. Raises Unsupported where there is no
    library, or a part of the model has no native form.
    """

    def __init__(
        self, model: Transformer | PackedModel, *, threads: int = 1, room: int | None = None, reason: str = ""
    ) -> None:
        if (found := native.find()).library is None:
            raise Unsupported(f"no native kernels: {found.reason}")
        self._packed = pack_model(model, threads=threads) if isinstance(model, Transformer) else model
        self.room = min(room or self._packed.context_length, self._packed.context_length)
        self._decoder = Decoder(self._packed.model, self._packed.tables, threads=threads)
        self.name, self.reason = f"native ({self._decoder.path})", reason
        self.rewinds, self.length = not self._packed.recurrent, 0
        self.hidden: Tensor | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of weights, caches and working memory; of the last two the system gives what is used."""
        return self._packed.tables.nbytes + self._decoder.nbytes

    def forward(self, tokens: Sequence[int], *, every: bool = False) -> Tensor:
        """Logits (V,) after the last of these tokens, which continue the text, or (T, V) after each with `every`.

        `hidden` (T, C) then holds the states after the final norm. Raises ValueError, and reads nothing, when the tokens
        do not fit the room or the vocabulary, and MemoryError.
        """
        self._make_room(self.length + len(tokens))
        logits, hidden = self._decoder.forward(tokens, self.length, len(tokens) if every else 1)
        self.length += len(tokens)
        self.hidden = hidden if every else None
        return logits if every else logits[0]

    def _make_room(self, tokens: int) -> None:
        if tokens > self.room:
            raise ValueError(f"{tokens} tokens do not fit a text of {self.room}")
        if tokens > self._decoder.capacity:
            self._decoder.reserve(self.length, *self._packed.rotary.halves(room(tokens, self.room)))

    def truncate(self, length: int) -> None:
        """Forget all tokens after the first `length`. Raises ValueError if a recurrent layer would have to go back."""
        if length >= self.length:
            return
        if length and not self.rewinds:
            raise ValueError("a recurrent state cannot go back to fewer tokens; only to none")
        self.length = length

    def reset(self) -> None:
        """Forget everything."""
        self.length = 0
