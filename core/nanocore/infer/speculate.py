"""Speculative decoding (Leviathan et al., arXiv 2211.17192) with drafts from the model's own prediction heads.

One reading of the model checks all drafts. With draft probabilities q and the model's p, both after all of the sampling
settings, draft x is accepted with probability min(1, p(x) / q(x)); the first refused one is replaced by a draw from
max(0, p - q), normalised. So every token has exactly the distribution p. At temperature 0 both are certain of one token.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from nanocore.errors import UsageError
from nanocore.infer.backend import Backend
from nanocore.infer.drafts import Drafter, Drafts, make_drafter
from nanocore.infer.plain import drawn
from nanocore.infer.refusals import without_heads
from nanocore.infer.request import Drawn, Speculation
from nanocore.infer.sampler import Sampler
from nanocore.infer.window import Window
from nanocore.model.transformer import Transformer


def speculative(
    window: Window, backend: Backend, drafter: Drafter, sampler: Sampler, record: Speculation, *, logprobs: bool
) -> Iterator[Drawn]:
    """Tokens without end, several from one reading of the model; `record` counts how the drafts fared."""
    while True:
        # A window that begins anew is read first: the drafter knows nothing of it yet.
        drafts = drafter.draft(window.tokens, window.text, sampler, window.free) if window.held else Drafts([], [])
        logits = window.logits_ahead(drafts.tokens, every=drafter.reads_all)
        hidden, read = backend.hidden, len(window.tokens)
        assert hidden is not None
        record.forwards += 1
        record.drafted += len(drafts.tokens)
        for index, token in enumerate(_checked(drafts, logits, window, sampler)):
            record.accepted += index < len(drafts.tokens) and token == drafts.tokens[index]
            record.drawn += 1
            yield drawn(token, logits[index], logprobs)
            window.push(token)
        if window.held >= read:  # else the window began anew
            drafter.take(hidden, read + len(drafts.tokens), window.held)


def _checked(drafts: Drafts, logits: Tensor, window: Window, sampler: Sampler) -> Iterator[int]:
    """The drafts that are accepted, and one token more; logits (K + 1, V) follow the text and each of K drafts.

    The caller adds each token to the window before it asks for the next.
    """
    for index, (token, q) in enumerate(zip(drafts.tokens, drafts.probabilities, strict=True)):
        p = sampler.distribution(logits[index], window.text)
        if sampler.uniform() * float(q[token]) >= float(p[token]):
            excess = (p - q).clamp_(min=0.0)
            yield sampler.draw(excess if float(excess.sum()) > 0 else p)  # nothing is left only by rounding
            return
        yield token
    yield sampler.pick(logits[-1], window.text)


def drafter_for(model: Transformer, backend: Backend) -> Drafter:
    """A drafter that fits the backend. Raises UsageError with the reason where there cannot be one."""
    drafter = make_drafter(model)
    if drafter is None:
        raise without_heads()
    if not backend.rewinds:
        raise UsageError(
            "speculation needs to take tokens back, which a recurrent (DeltaNet) layer cannot",
            fix="generate without speculation",
        )
    return drafter
