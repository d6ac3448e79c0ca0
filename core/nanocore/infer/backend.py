"""What computes logits for the engine: the native decoder where it can, torch everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor

from nanocore.config.layers import is_delta
from nanocore.errors import UsageError
from nanocore.infer.decoder_threads import fastest_threads
from nanocore.infer.native_decoder import NativeDecoder
from nanocore.infer.packed_model import Unsupported
from nanocore.model.transformer import Transformer

Choice = Literal["auto", "native", "torch", "cuda"]


class Backend(Protocol):
    """Reads one text, token after token; `length` tokens are held, and later ones follow them.

    `name` says what computes, `reason` why this backend was taken. `rewinds` is False where only the beginning can be
    gone back to (a recurrent state). `hidden` (T, C) are the hidden states after the final norm of the tokens that
    the last `forward` read, if it gave logits of `every` one.
    """

    name: str
    reason: str
    rewinds: bool
    length: int
    hidden: Tensor | None

    def forward(self, tokens: Sequence[int], *, every: bool = False) -> Tensor:
        """Read tokens; logits (V,) after the last of them, or (T, V) after each with `every`."""
        ...

    def truncate(self, length: int) -> None:
        """Forget all tokens after the first `length`."""
        ...


class TorchBackend:
    """The training forward with a cache of what was read, where the model is."""

    def __init__(self, model: Transformer, reason: str = "") -> None:
        self.reason, self._model = reason, model
        device = model.head_weight.device
        self.name = f"torch on {torch.cuda.get_device_name(device)}" if device.type == "cuda" else "torch"
        self.rewinds = not any(is_delta(model.config, layer) for layer in range(model.config.model.n_layers))
        self.length, self.hidden = 0, None
        self._cache = model.new_cache(1, model.config.model.context_length)

    @torch.no_grad()
    def forward(self, tokens: Sequence[int], *, every: bool = False) -> Tensor:
        new = torch.tensor([list(tokens)], device=self._model.head_weight.device)
        hidden = self._model(new, cache=self._cache)[0]
        self.length += len(tokens)
        self.hidden: Tensor | None = hidden if every else None
        return self._model.logits(hidden if every else hidden[-1])

    def truncate(self, length: int) -> None:
        self._cache.truncate(length)
        self.length = min(self.length, length)


def make_backend(
    model: Transformer, choice: Choice = "auto", threads: int = 1, *, fewer_threads: bool = False
) -> Backend:
    """The backend that was asked for; `auto` takes the native decoder where it can run the model.

    With `fewer_threads` the native decoder takes fewer where those were measured to decode faster. Raises UsageError when
    `native` cannot. For `cuda` the model is on the GPU already.
    """
    if choice in ("torch", "cuda"):
        return TorchBackend(model, "asked for")
    try:
        count = fastest_threads(model, threads) if fewer_threads else threads
        return NativeDecoder(model, threads=count, reason="" if choice == "auto" else "asked for")
    except Unsupported as reason:
        if choice == "native":
            fix = "choose the torch backend"
            raise UsageError(f"the native decoder cannot run this model: {reason}", fix=fix) from None
        return TorchBackend(model, f"not native: {reason}")
