"""Check: the native decoder against torch, both in float32, by the error that torch itself has against float64.

A difference in the seventh digit can move an activation over the border of two codes, so the last bit is not asked for.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nanocore.infer.native_decoder import NativeDecoder
from nanocore.infer.packed_model import Unsupported
from nanocore.model.transformer import Transformer
from nanocore.validation.outcome import Failed, Found, NotRun, expect
from nanocore.validation.tiny import random_tokens, tiny_model
from nanocore.validation.workshop import Workshop
from nanokernels import native

SETS = ("model.d_model=128", "model.d_ff=256", "model.context_length=128")
CASES: dict[str, tuple[str, ...]] = {
    "grouped heads": ("mhc.streams=1",),
    "four dynamic streams": ("mhc.streams=4", "mhc.dynamic=true"),
    "experts": ("moe.experts=4", "moe.active=2", "moe.d_expert=64"),
    "DeltaNet": ("delta.pattern=DA", "delta.chunk=8"),
}
TOKENS, CLEAR = 96, 0.1  # a likeliest token this far before the second must be the same
FACTOR, FLOOR = 2.0, 1e-5


@torch.no_grad()
def check(_: Workshop) -> Found:
    if (library := native.find()).library is None:
        raise NotRun(f"there are no native kernels here: {library.reason}")
    worst, name = 0.0, ""
    for case, sets in CASES.items():
        ratio, name = _case(case, tiny_model(12, *SETS, *sets))
        worst = max(worst, ratio)
    return Found(
        f"{name}: at most {worst:.2f} of torch's own error",
        f"{', '.join(CASES)}: median and 99th percentile over {TOKENS} tokens; every clear choice of a token the same",
    )


def _case(case: str, model: Transformer) -> tuple[float, str]:
    tokens = random_tokens(1, TOKENS, words=256)
    decoder = _native(case, model)
    native_logits = decoder.forward(tokens[0].tolist(), every=True)
    ours = model.logits(model(tokens))[0]
    exact = model.double().logits(model(tokens))[0]
    own, found = _errors(ours, exact), _errors(native_logits, exact)
    for share in (0.5, 0.99):
        most = max(FACTOR * float(own.quantile(share)), FLOOR)
        value = float(found.quantile(share))
        expect(
            value <= most,
            f"{case}: error {value:.2g} at the {share:.0%} quantile",
            f"at most {most:.2g}, twice torch's",
        )
    top = exact.topk(2).values
    clear = top[:, 0] - top[:, 1] > CLEAR
    same = (native_logits.argmax(-1) == exact.argmax(-1))[clear]
    expect(bool(same.all()), f"{case}: {int((~same).sum())} clear choices differ", "none")
    return float(found.quantile(0.99) / own.quantile(0.99).clamp_min(FLOOR)), decoder.name


def _native(case: str, model: Transformer) -> NativeDecoder:
    """Raises Failed where it refuses a model: with the library there it must run each of these."""
    try:
        return NativeDecoder(model)
    except Unsupported as reason:
        raise Failed(f"the native decoder refuses {case}: {reason}", "each of these models decoded natively") from None


def _errors(found: Tensor, exact: Tensor) -> Tensor:
    """Of each logit, in units of its token's largest, (T V,)."""
    return ((found.double() - exact).abs() / exact.abs().amax(-1, keepdim=True)).flatten()
