"""What keys must satisfy together. Each rule names the keys it reads and yields a `Problem` for each contradiction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from nanocore.config.fields import get
from nanocore.config.idle import IDLE, Idle, default
from nanocore.config.literals import READ_BY, literal
from nanocore.config.problem import Problem, Rule
from nanocore.config.schema import BYTES_VOCABULARY, Config, seconds
from nanocore.config.sections import Source
from nanocore.config.technique_rules import TECHNIQUE_RULES

MAX_TOKENS_PER_STEP = 1 << 30
MAX_PARAMETERS = 10**12


class BrokenRules(ValueError):
    """Raised by the schema when sections are valid one by one but not together."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


def broken(config: Config, invalid: frozenset[str] = frozenset()) -> list[Problem]:
    """All broken rules of a configuration, except rules that read a key in `invalid`."""
    rules = [rule for rule in (*RULES, *IDLE_RULES) if invalid.isdisjoint(rule.keys)]
    return [replace(problem, keys=rule.keys) for rule in rules for problem in rule.check(config)]


def _heads(config: Config) -> Iterator[Problem]:
    """`d_model` is a multiple of `n_heads` unless `head_dim` is given, and a head has an even width."""
    model = config.model
    if not model.head_dim and model.d_model % model.n_heads:
        what = f"{model.n_heads} heads do not divide d_model = {model.d_model}"
        yield Problem("model.n_heads", what, "choose a divisor, or set model.head_dim")
    elif config.head_dim % 2:
        what = f"a head is {config.head_dim} wide, and rotary positions need an even width"
        yield Problem("model.head_dim", what, "change n_heads or head_dim")


def _kv_heads(config: Config) -> Iterator[Problem]:
    """`n_heads` is a multiple of `n_kv_heads`."""
    model = config.model
    if model.n_heads % model.n_kv_heads:
        what = f"{model.n_kv_heads} key-value heads do not divide n_heads = {model.n_heads}"
        yield Problem("model.n_kv_heads", what, "choose a divisor of n_heads")


def _groups(config: Config) -> Iterator[Problem]:
    """`group_size` divides the input width of every ternary matrix: `d_model`, `d_ff` and all heads together."""
    size = config.model.group_size
    if not config.model.head_dim and config.model.d_model % config.model.n_heads:
        return  # the width of the heads is not known
    inputs = {config.model.d_model, config.model.d_ff, config.model.n_heads * config.head_dim}
    for width in sorted(width for width in inputs if size and width % size):
        yield Problem("model.group_size", f"{size} does not divide the input width {width}", "choose a divisor, or 0")


def _size(config: Config) -> Iterator[Problem]:
    """The model has at most 1e12 parameters."""
    model = config.model
    attention = 4 * model.d_model * model.n_heads * config.head_dim
    blocks = model.n_layers * (attention + 3 * model.d_model * model.d_ff)
    if blocks + config.data.vocab_size * model.d_model > MAX_PARAMETERS:
        yield Problem("model.d_model", f"the model would have over {MAX_PARAMETERS:.0e} parameters", "make it smaller")


def _batch(config: Config) -> Iterator[Problem]:
    """`accumulation` divides `batch_size`, and one step trains at most 2^30 tokens."""
    training = config.training
    if training.batch_size % training.accumulation:
        what = f"{training.accumulation} micro-batches do not divide batch_size = {training.batch_size}"
        yield Problem("training.accumulation", what, "choose a divisor of batch_size")
    if config.tokens_per_step > MAX_TOKENS_PER_STEP:
        what = f"a step would train {config.tokens_per_step} tokens, the most is {MAX_TOKENS_PER_STEP}"
        yield Problem("training.batch_size", what, "make batch_size or context_length smaller")


def _horizon(config: Config) -> Iterator[Problem]:
    """Exactly one of `steps`, `tokens` and `duration` rules a run; a duration reads as `1h30m`, `30m` or `90s`."""
    training = config.training
    chosen = [name for name in ("steps", "tokens", "duration") if getattr(training, name)]
    if len(chosen) != 1:
        said = " and ".join(chosen) or "none"
        what = f"exactly one of steps, tokens and duration rules a run, found {said}"
        yield Problem(f"training.{chosen[-1] if chosen else 'steps'}", what, 'set the others to 0, 0 and ""')
    try:
        if training.duration and not seconds(training.duration):
            yield Problem("training.duration", "is zero", "give a length such as 30m or 8h")
    except ValueError as error:
        yield Problem("training.duration", str(error), "write hours, minutes and seconds in that order")


def _tokenizer(config: Config) -> Iterator[Problem]:
    """`vocab_size` is 0 or 257 for bytes and at least 257 for bpe; `tokenizer_file` goes with `tokenizer = "file"`."""
    data = config.data
    if data.tokenizer == "bytes" and data.vocab_size not in (0, BYTES_VOCABULARY):
        what = f"the bytes tokenizer has {BYTES_VOCABULARY} tokens, found {data.vocab_size}"
        yield Problem("data.vocab_size", what, 'set 0, or choose data.tokenizer = "bpe"')
    if data.tokenizer == "bpe" and data.vocab_size < BYTES_VOCABULARY:
        what = f"a bpe tokenizer has at least {BYTES_VOCABULARY} tokens, found {data.vocab_size}"
        yield Problem("data.vocab_size", what, "set for example 4096")
    if data.tokenizer == "file" and not data.tokenizer_file:
        yield Problem(
            "data.tokenizer_file", 'is empty while data.tokenizer = "file"', "give the path of a tokenizer.json"
        )
    if data.tokenizer != "file" and data.tokenizer_file:
        what = f'is given while data.tokenizer = "{data.tokenizer}"'
        yield Problem("data.tokenizer_file", what, 'remove it, or choose data.tokenizer = "file"')


def _sources(config: Config) -> Iterator[Problem]:
    """Sources of files have `paths`; each key of a source is read by its kind."""
    for index, source in enumerate(config.data.sources):
        place = f"data.sources[{index}]"
        if source.kind in READ_BY["paths"] and not source.paths:
            yield Problem(f"{place}.paths", f"is empty, a {source.kind} source reads files", "give at least one glob")
        for key, kinds in READ_BY.items():
            usual = Source.model_fields[key].get_default(call_default_factory=True)
            if source.kind not in kinds and getattr(source, key) != usual:
                what = f"has no meaning for a {source.kind} source"
                yield Problem(f"{place}.{key}", what, "remove it or change kind")


def _held_out(config: Config) -> Iterator[Problem]:
    """The held-out slice holds at least one sequence of `context_length`."""
    context = config.model.context_length
    if config.evaluation.tokens < context:
        what = f"{config.evaluation.tokens} tokens hold no sequence of context_length = {context}"
        yield Problem("evaluation.tokens", what, f"set at least {context}")


RULES = (
    *TECHNIQUE_RULES,
    Rule(("model.d_model", "model.n_heads", "model.head_dim"), _heads),
    Rule(("model.n_heads", "model.n_kv_heads"), _kv_heads),
    Rule(("model.group_size", "model.d_model", "model.d_ff", "model.n_heads", "model.head_dim"), _groups),
    Rule(
        ("model.d_model", "model.d_ff", "model.n_heads", "model.head_dim", "model.n_layers", "data.vocab_size"), _size
    ),
    Rule(("training.batch_size", "training.accumulation", "model.context_length"), _batch),
    Rule(("training.steps", "training.tokens", "training.duration"), _horizon),
    Rule(("data.tokenizer", "data.vocab_size", "data.tokenizer_file"), _tokenizer),
    Rule(("data.sources",), _sources),
    Rule(("evaluation.tokens", "model.context_length"), _held_out),
)


def _idle_rule(key: str, idle: Idle) -> Rule:
    def check(config: Config) -> Iterator[Problem]:
        value, usual = partial(get, config), default(key)
        if value(key) != usual and idle.holds(value):
            remedy = f"set it to {literal(usual)}, its default, or change {' or '.join(idle.when)}"
            yield Problem(key, f"{literal(value(key))} has no effect while {idle.state(value)}", remedy)

    return Rule((key, *idle.when), check)


IDLE_RULES = tuple(_idle_rule(key, idle) for idle in IDLE for key in idle.keys)
