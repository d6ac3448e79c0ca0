"""Settings that are allowed and work, but probably are not what was meant. Each is told once, before training."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable, Iterator

from nanocore.config.estimate import planned_tokens
from nanocore.config.layers import is_delta
from nanocore.config.literals import literal
from nanocore.config.machine import lacks_driver
from nanocore.config.optimizer_bytes import projected
from nanocore.config.parameters import Weights, of_role, weights
from nanocore.config.schema import Config

SUITED = {"adamw": 0.003, "lion": 0.001}  # peak rates of matrices that Muon does not move
MUON_RATE = 0.01  # as high as this is usual for updates of Muon's own scale alone
RMS_RATE = 0.006
GIVEN, GIVEN_BY = 30_000, 4 << 20  # tokens of a vocabulary that can be learned from so many bytes of Python
CERTAIN = 0.9  # of an estimate of such tokens


def advice(config: Config, *, fork: bool = False) -> list[str]:
    """One line for each such setting: the key, what will happen, what is usual. A `fork` begins with trained weights."""
    steps = planned_tokens(config) // config.tokens_per_step
    found = [line for check in _CHECKS for line in check(config)] + (behind_the_end(config, steps) if steps else [])
    if config.loop.stage == "gate" and not fork:
        found.append(
            "loop.stage: the gate alone is trained, which wants the weights of a trained run to begin with (--from RUN)"
        )
    return found


def behind_the_end(config: Config, steps: int) -> list[str]:
    """A line for each setting that a run of `steps` steps ends before it comes to, or hardly comes to."""
    return [line for check in _REACHED for line in check(config, steps)]


def _device(config: Config) -> Iterator[str]:
    """What is trained elsewhere may be checked here."""
    if lacks_driver(config.hardware):
        device = literal(config.hardware.device)
        yield f'hardware.device: {device} cannot be trained on this machine, which has no NVIDIA driver; "auto" can'


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
    """A matrix whose state would grow in a subspace stays with plain Muon, and so do experts."""
    matrices = _matrices(config)
    left = matrices - projected(config, matrices)
    stacks = sum(times for weight, times in left.items() if len(weight.shape) > 2)
    grown, every = left.total() - stacks, matrices.total()
    if not config.galore.rank_fraction or not left:
        return
    why = [f"the state of {grown} would grow"] * (grown > 0) + [f"{stacks} are stacks of experts"] * (stacks > 0)
    what = f"{every - left.total()} of {every} matrices are projected at {config.galore.rank_fraction}"
    ways = _more_projected(config, matrices) if grown else []
    fix = f"; more are with {' or '.join(ways)}" if ways else ""
    yield f"galore.rank_fraction: {what}, the others stay with plain Muon ({', '.join(why)}){fix}"


def _matrices(config: Config) -> Weights:
    return of_role(weights(config, config.data.vocab_size), "matrix")


def _more_projected(config: Config, matrices: Weights) -> list[str]:
    """The largest smaller rank that projects all matrices that are no stacks, and the projector that leaves more room."""

    def count(**keys: object) -> int:
        return projected(config.model_copy(update={"galore": config.galore.model_copy(update=keys)}), matrices).total()

    now, most = count(), sum(times for weight, times in matrices.items() if len(weight.shape) == 2)
    forms = {form: count(projector=form) for form in ("int8", "int4")}
    best = max(forms, key=lambda form: forms[form])
    found = [f"galore.projector = {literal(best)} ({forms[best]})"] if forms[best] > now else []
    percent = bisect(range(100), False, 1, key=lambda each: count(rank_fraction=each / 100) < most) - 1
    return [*found, f"a rank of at most {percent / 100} ({most})"] if percent else found


def _fp4(config: Config) -> Iterator[str]:
    """A study needs a matmul to study."""
    fp4 = config.fp4
    if fp4.format != "off" and not (fp4.forward or fp4.input_gradient or fp4.weight_gradient):
        yield f"fp4.format: {fp4.format} is used in none of the matmuls; switch forward or a gradient on"


def _reference(config: Config) -> Iterator[str]:
    """The scoring model of a token filter is in memory too."""
    if config.collider.reference and config.collider.mode != "off":
        yield "collider.reference: the estimate of memory leaves out this model, which is kept beside the trained one"


def _without_effect(config: Config) -> Iterator[str]:
    """What costs time and changes nothing."""
    mtp, collider = config.mtp, config.collider
    if mtp.horizon and config.loop.stage == "joint" and mtp.weight == mtp.final_weight == 0:
        yield "mtp.weight: at 0 from the beginning to the end the heads learn nothing"
    if not config.model.qk_norm and all(is_delta(config, layer) for layer in range(config.model.n_layers)):
        yield "model.qk_norm: says nothing where every layer is a DeltaNet layer"
    if collider.mode != "off" and collider.keep == 1:
        yield "collider.keep: at 1.0 no token is dropped, and scoring them costs time"


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


def _refresh(config: Config, steps: int) -> Iterator[str]:
    """A subspace learns little when it is never looked for again."""
    galore = config.galore
    if galore.refresh_every >= steps and projected(config, _matrices(config)):
        what = f"{galore.refresh_every} is not before the end of {steps} steps, which stay in their first subspace"
        yield f"galore.refresh_every: {what}; a tenth of the run is usual"


def _filtering(config: Config, steps: int) -> Iterator[str]:
    collider = config.collider
    if collider.mode != "off" and collider.start_step >= steps:
        what = f"{collider.start_step} is not before the end of {steps} steps, so no token is ever filtered"
        yield f"collider.start_step: {what}; a tenth of the run is usual"


def _warmup(config: Config, steps: int) -> Iterator[str]:
    warmup = config.schedule.warmup_steps
    if warmup >= steps:
        what = f"{warmup} is not before the end of {steps} steps, so the rate rises to the last one"
        yield f"schedule.warmup_steps: {what}; 1 to 3 % of the run is usual"


def _fire(config: Config, steps: int) -> Iterator[str]:
    """At the last step it spoils the model: what it made anew is never trained."""
    step = config.fire.at_step
    if step == steps:
        yield f"fire.at_step: {step} is the last step, so what FIRE makes anew is never trained; give an earlier one"
    elif step > steps:
        yield f"fire.at_step: {step} is behind the end of {steps} steps, so FIRE never comes; give an earlier one"


_CHECKS: tuple[Callable[[Config], Iterator[str]], ...] = (
    _device,
    _rates,
    _subspace,
    _fp4,
    _reference,
    _without_effect,
    _vocabulary,
)
_REACHED: tuple[Callable[[Config, int], Iterator[str]], ...] = (_refresh, _filtering, _warmup, _fire)
