"""Settings that are allowed and work, but probably are not what was meant. Each is told once, before training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from nanocore.config.literals import literal
from nanocore.config.schema import Config

SUITED = {"adamw": 0.003, "lion": 0.001}  # peak rates of matrices that Muon does not move
MUON_RATE = 0.01  # as high as this is usual for updates of Muon's own scale alone
RMS_RATE = 0.006
GIVEN, GIVEN_BY = 30_000, 4 << 20  # tokens of a vocabulary that can be learned from so many bytes of Python
CERTAIN = 0.9  # of an estimate of such tokens


def advice(config: Config) -> list[str]:
    """One line for each such setting: the key, what will happen, what is usual."""
    return [line for check in _CHECKS for line in check(config)]


def _rates(config: Config) -> Iterator[str]:
    """Each kind of update has a scale of its own, and the learning rate goes with it."""
    optimizer = config.optimizer
    rate = f"optimizer.matrix_lr: {literal(optimizer.matrix_lr)} suits Muon"
    if optimizer.matrix_lr < MUON_RATE:
        return
    if optimizer.matrices in SUITED:
        yield f"{rate}; {optimizer.matrices} moves matrices with about {SUITED[optimizer.matrices]}"
    elif optimizer.shape_scale == "match_rms_adamw":
        yield f"{rate} in its original scale; with match_rms_adamw about {RMS_RATE} is usual"


def _subspace(config: Config) -> Iterator[str]:
    """A subspace saves nothing at full rank, and learns little when it is never looked for again."""
    galore, steps = config.galore, config.training.steps
    if galore.rank_fraction == 1:
        yield "galore.rank_fraction: at 1.0 no state shrinks, so every matrix stays with plain Muon"
    elif galore.rank_fraction and steps and galore.refresh_every >= steps:
        what = f"{galore.refresh_every} steps are as long as the run, which stays in its first subspace"
        yield f"galore.refresh_every: {what}; a tenth of the run is usual"


def _fp4(config: Config) -> Iterator[str]:
    """A study needs a matmul to study."""
    fp4 = config.fp4
    if fp4.format != "off" and not (fp4.forward or fp4.input_gradient or fp4.weight_gradient):
        yield f"fp4.format: {fp4.format} is used in none of the matmuls; switch forward or a gradient on"


def _reference(config: Config) -> Iterator[str]:
    """The scoring model of a token filter is in memory too."""
    if config.collider.reference and config.collider.mode != "off":
        yield "collider.reference: the estimate of memory leaves out this model, which is kept beside the trained one"


def _vocabulary(config: Config) -> Iterator[str]:
    """The library source alone has too few different words for the largest vocabularies.

    How many tokens Python source gives grows with its size to the power of 0.57: measured on a quarter, half and all of
    Python 3.11's library, to 2 %.
    """
    from nanocore.data.sources import library_bytes

    data = config.data
    if data.tokenizer != "bpe" or any(source.kind != "stdlib" for source in data.sources) or data.vocab_size <= GIVEN:
        return
    size = library_bytes()
    likely = int(GIVEN * (size / GIVEN_BY) ** 0.57)
    if size and data.vocab_size > CERTAIN * likely:
        fits = 2 ** int(math.log2(CERTAIN * likely))
        text = f"this Python's library source, {size / 2**20:.1f} MiB, gives about {likely // 1000 * 1000} tokens"
        yield (
            f"data.vocab_size: {text}, and a run that cannot learn {data.vocab_size} ends before its first step; "
            f"add text of yours to data.sources, or take {fits}"
        )


_CHECKS: tuple[Callable[[Config], Iterator[str]], ...] = (_rates, _subspace, _fp4, _reference, _vocabulary)
