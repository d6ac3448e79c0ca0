"""Which keys a fork may change while it keeps its parent's optimizer state: judged by state that is really built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache

import pytest
from torch import Tensor

from nanocore.config.continuation import state_conflicts
from nanocore.config.fields import Field, fields, get
from nanocore.config.literals import literal
from nanocore.config.optimizer_bytes import state_slots
from nanocore.config.parameters import weights
from nanocore.config.schema import Config
from nanocore.errors import CheckpointError, ConfigError
from nanocore.model.transformer import Transformer
from nanocore.optim.optimizers import Optimizers
from tests.quick import quick
from tests.tiny import tiny_config

WORDS = 257
CODED = ("optimizer.state=int8", "galore.rank_fraction=0.25", "galore.projector=int4")
PARENTS = {
    "muon": (),
    "coded": CODED,
    "coded, adaptive, random": (*CODED, "galore.adaptive=true", "optimizer.stochastic_rounding=true"),
    "dynamic": ("optimizer.state=int8-dynamic",),
    "adamw": ("optimizer.matrices=adamw",),
    "lion": ("optimizer.matrices=lion", "optimizer.others=lion"),
}


def others(field: Field, config: Config) -> Iterator[str]:
    """Overrides that give the field another value."""
    now = get(config, field.key)
    if field.kind == "bool":
        yield f"{field.key}={literal(not now)}"
    elif field.kind == "choice":
        yield from (f"{field.key}={literal(choice)}" for choice in field.choices if choice != now)
    elif field.kind in ("int", "float"):
        for value in (field.minimum, field.maximum, 0.5 if field.kind == "float" else 3):
            if value is not None and value != now:
                yield f"{field.key}={value if field.kind == 'float' else int(value)}"


@cache
def core() -> Transformer:
    """The model that all these have in common."""
    return Transformer(tiny_config(), WORDS)


def fits(kept: dict[str, Tensor], child: Config) -> bool:
    """Whether the optimizers of `child` load this state."""
    try:
        Optimizers(core(), child).load_state_tensors(kept)
    except CheckpointError:
        return False
    return True


@pytest.mark.parametrize("name", quick(PARENTS, "coded, adaptive, random"))
def test_a_fork_is_refused_exactly_where_its_optimizer_would_not_load_the_state(name: str) -> None:
    parent = tiny_config(*PARENTS[name])
    kept = Optimizers(core(), parent).state_tensors()
    for field in (field for field in fields() if field.section in ("optimizer", "galore")):
        for changed in others(field, parent):
            try:
                child = tiny_config(*PARENTS[name], changed)
            except ConfigError:  # refused for another reason
                continue
            conflicts = state_conflicts(parent, child)
            assert fits(kept, child) == (not conflicts), changed
            assert all(told.startswith(f"{field.key} ") for told in conflicts), changed


@pytest.mark.parametrize("name", [*PARENTS, "experts"])
def test_the_state_of_each_parameter_is_counted_slot_by_slot(name: str) -> None:
    config = tiny_config(*PARENTS.get(name, (*CODED, "moe.experts=2")))  # stacks of matrices are never projected
    model = core() if name in PARENTS else Transformer(config, WORDS)
    live: Counter[frozenset[tuple[str, str, int]]] = Counter()
    state, shapes = Optimizers(model, config).state_tensors(), dict(model.named_parameters())
    for parameter in shapes:
        own = {slot.removeprefix(f"{parameter}."): t for slot, t in state.items() if slot.startswith(f"{parameter}.")}
        live[frozenset((slot, str(t.dtype).removeprefix("torch."), t.numel()) for slot, t in own.items())] += 1
    counted: Counter[frozenset[tuple[str, str, int]]] = Counter()
    for weight, times in weights(config, WORDS).items():
        slots = state_slots(config, weight)
        counted[frozenset((slot, kind, count) for slot, (kind, count) in slots.items())] += times
    assert counted == live


def test_a_key_that_changes_no_state_is_no_reason_to_refuse() -> None:
    plain, whole = tiny_config(), tiny_config("galore.rank_fraction=1.0")  # no state would shrink
    assert state_conflicts(plain, whole) == []
    quarter = tiny_config("galore.rank_fraction=0.25", "galore.refresh_every=7")
    assert state_conflicts(plain, quarter) == ["galore.rank_fraction 0.0 -> 0.25"]
