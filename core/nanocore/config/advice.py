"""Settings that are allowed and work, but probably are not what was meant. Each is told once, before training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from nanocore.config.literals import literal
from nanocore.config.schema import Config

SUITED = {"adamw": 0.003, "lion": 0.001}  # peak rates of matrices that Muon does not move
MUON_RATE = 0.01  # as high as this is usual for updates of Muon's own scale alone
RMS_RATE = 0.006


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
    galore, steps = config.galore, _steps(config)
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


def _never(config: Config) -> Iterator[str]:
    """What begins after the last step does nothing."""
    steps = _steps(config)
    fire, filtering = config.fire.at_step, config.collider.mode != "off" and config.collider.start_step
    if steps and fire > steps:
        yield f"fire.at_step: the run ends at step {steps}, before it"
    elif steps and fire == steps:
        yield f"fire.at_step: {fire} is the last step; nothing trains the new weights"
    if steps and filtering >= steps:
        yield f"collider.start_step: the run ends at step {steps}, so no token is ever dropped"


def _without_effect(config: Config) -> Iterator[str]:
    """What costs time and changes nothing."""
    mtp, collider = config.mtp, config.collider
    if mtp.horizon and config.loop.stage == "joint" and mtp.weight == mtp.final_weight == 0:
        yield "mtp.weight: at 0 from the beginning to the end the heads learn nothing"
    if collider.mode != "off" and collider.keep == 1:
        yield "collider.keep: at 1.0 no token is dropped, and scoring them costs time"


def _steps(config: Config) -> int:
    """Steps of the run; 0 where its length of time decides."""
    return config.training.steps or math.ceil(config.training.tokens / config.tokens_per_step)


_CHECKS: tuple[Callable[[Config], Iterator[str]], ...] = (_rates, _subspace, _fp4, _reference, _never, _without_effect)
