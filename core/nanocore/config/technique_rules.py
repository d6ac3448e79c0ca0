"""Which techniques go together, and what each needs of the others; see `rules` for what a rule is."""

from __future__ import annotations

from collections.abc import Iterator

from nanocore.config.layers import is_delta
from nanocore.config.literals import literal
from nanocore.config.problem import Problem, Rule
from nanocore.config.schema import Config
from nanocore.config.techniques import Moe


def _loop(config: Config) -> Iterator[Problem]:
    """At least one block is looped; looped models are not compiled."""
    loop = config.loop
    if loop.before + loop.after >= config.model.n_layers:
        what = f"{loop.before} blocks before and {loop.after} after leave none of {config.model.n_layers} to loop"
        given = "loop.before" if loop.before else "loop.after"
        yield Problem(given, what, "make loop.before or loop.after smaller, or model.n_layers larger")
    if loop.count > 1 and config.hardware.compile:
        yield Problem("hardware.compile", "a looped model cannot be compiled", "set hardware.compile = false")


def _early_exit(config: Config) -> Iterator[Problem]:
    """`exit_threshold` needs attention in the loop: a recurrent state has no place for a token that left."""
    if config.loop.exit_threshold < 1.0 and "D" in config.delta.pattern:
        what = "tokens cannot leave a loop with DeltaNet layers early"
        yield Problem("loop.exit_threshold", what, 'set it to 1, or delta.pattern to ""')


def _experts(config: Config) -> Iterator[Problem]:
    """A token is routed to at most all experts; scale groups divide an expert's width; routing is not compiled."""
    moe, group = config.moe, config.model.group_size
    if not moe.experts:
        return
    if moe.active > moe.experts and moe.active == Moe.model_fields["active"].default:
        what = f"{moe.experts} is fewer than moe.active = {moe.active}, which is its default"
        yield Problem("moe.experts", what, f"make it larger, or set moe.active = {moe.experts}")
    elif moe.active > moe.experts:
        what = f"{moe.active} experts for each token, of moe.experts = {moe.experts}"
        yield Problem("moe.active", what, "make it smaller, or moe.experts larger")
    if group and moe.d_expert % group:
        what = f"{group} does not divide moe.d_expert = {moe.d_expert}"
        yield Problem("model.group_size", what, "choose a divisor, or 0")
    if config.hardware.compile:
        yield Problem("hardware.compile", "routing to experts cannot be compiled", "set hardware.compile = false")


def _delta(config: Config) -> Iterator[Problem]:
    """A pattern gives at least one of the layers a DeltaNet."""
    pattern, layers = config.delta.pattern, config.model.n_layers
    if pattern and not any(is_delta(config, layer) for layer in range(layers)):
        what = f"{literal(pattern)} makes none of {layers} layers a DeltaNet layer"
        yield Problem("delta.pattern", what, 'write a pattern such as "DDDA", or "" for attention everywhere')


def _fp4(config: Config) -> Iterator[Problem]:
    """FP4 is emulated; ternary forward matmuls have integer inputs already; the study is not compiled."""
    fp4 = config.fp4
    if fp4.execution == "hardware":
        what = "FP4 matmuls need a Blackwell GPU and kernels that are not part of this project"
        yield Problem("fp4.execution", what, 'set "emulate", which shows the numerics, never a speed-up')
    if fp4.forward and config.model.linear == "ternary":
        what = "the forward matmuls of ternary matrices multiply whole numbers; there is nothing to quantise"
        yield Problem("fp4.forward", what, 'set it to false, or model.linear = "float"')
    if fp4.format != "off" and config.hardware.compile:
        yield Problem("hardware.compile", "the FP4 study cannot be compiled", "set hardware.compile = false")


def _fire(config: Config) -> Iterator[Problem]:
    """FIRE changes matrices, which the gate stage of a loop keeps as they are."""
    if config.fire.at_step and config.loop.stage == "gate":
        what = 'matrices stay as they are while loop.stage = "gate"'
        yield Problem("fire.at_step", what, 'set it to 0, or loop.stage = "joint"')


def _further_tokens(config: Config) -> Iterator[Problem]:
    """The tokens predicted ahead lie within a sequence."""
    if config.mtp.horizon + 1 >= config.model.context_length:
        what = f"{config.mtp.horizon} tokens ahead do not fit a sequence of {config.model.context_length}"
        yield Problem("mtp.horizon", what, "make it smaller")


def _filter(config: Config) -> Iterator[Problem]:
    """Token filtering needs one loss for each token, and in every layer a backward pass by rows."""
    collider = config.collider
    if collider.mode == "off":
        return
    if collider.importance == "excess" and not collider.reference:
        yield Problem("collider.reference", "is empty while importance is excess", "give a checkpoint folder")
    if config.loop.count > 1:
        yield Problem(
            "collider.mode", "a looped model has no single loss for each token", 'set "off", or loop.count = 1'
        )
    if collider.mode == "full":
        for key in _not_by_rows(config):
            what = f"{key} has no backward pass on kept tokens alone"
            yield Problem("collider.mode", what, f'set "head", or switch {key} off')


def _not_by_rows(config: Config) -> list[str]:
    """Keys that are on and whose backward pass needs all tokens."""
    on = {
        "moe.experts": config.moe.experts > 0,
        "delta.pattern": "D" in config.delta.pattern,
        "fp4.format": config.fp4.format != "off",
        "hardware.compile": config.hardware.compile,
    }
    return [key for key, wrong in on.items() if wrong]


TECHNIQUE_RULES = (
    Rule(("loop.count", "loop.before", "loop.after", "model.n_layers", "hardware.compile"), _loop),
    Rule(("loop.exit_threshold", "delta.pattern"), _early_exit),
    Rule(("moe.experts", "moe.active", "moe.d_expert", "model.group_size", "hardware.compile"), _experts),
    Rule(("delta.pattern", "model.n_layers"), _delta),
    Rule(("fp4.format", "fp4.forward", "fp4.execution", "model.linear", "hardware.compile"), _fp4),
    Rule(("fire.at_step", "loop.stage"), _fire),
    Rule(("mtp.horizon", "model.context_length"), _further_tokens),
    Rule(
        (
            "collider.mode", "collider.importance", "collider.reference", "loop.count", "moe.experts", "delta.pattern",
            "fp4.format", "hardware.compile",
        ),
        _filter,
    ),
)  # fmt: skip
