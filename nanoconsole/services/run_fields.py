"""What a run can be filtered and sorted by: fields of the list, metrics, and keys of its configuration."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from nanoconsole.services.listed import Listed
from nanocore.runs.metrics import METRICS, find_metric

if TYPE_CHECKING:
    from nanoconsole.services.alert_log import Alert

Value = float | str | tuple[str, ...] | None
ALIASES = {  # short names of metrics and configuration keys
    "ce": "eval/ce",
    "acc": "eval/accuracy",
    "ppl": "eval/perplexity",
    "grad": "training/grad_norm",
    "gain": "mhc/composite_gain",
    "rss": "memory/rss_bytes",
    "mfu": "throughput/mfu",
    "lr": "optimizer.matrix_lr",
    "seed": "training.seed",
    "streams": "mhc.streams",
    "batch": "training.batch_size",
}


@dataclass(frozen=True)
class Context:
    """What fields need besides the run: the Unix time, and how many alerts a run has raised."""

    now: float
    alerts: Callable[[Listed], int] = lambda run: 0


@dataclass(frozen=True)
class Field:
    """A field of the list. Text that is `whole` is matched as a whole, else where it occurs.

    Sorted by it, the greatest comes first where it `falls`; runs without a value come last either way.
    """

    name: str
    help: str
    get: Callable[[Listed, Context], Value]
    falls: bool = False
    whole: bool = False


def alert_counts(alerts: Iterable[Alert]) -> Callable[[Listed], int]:
    """How many alerts a run has that last, or that nobody has acknowledged."""
    found = Counter((alert.run, alert.created) for alert in alerts if alert.open or alert.new)
    return lambda run: found[run.run, run.summary.created]


def _progress(run: Listed, context: Context) -> float | None:
    return run.summary.step / run.summary.steps if run.summary.steps else None


def _age(run: Listed, context: Context) -> float | None:
    return context.now - run.summary.created if run.summary.created else None


FIELDS = (
    Field("created", "Unix time of its beginning.", lambda run, _: run.summary.created or None, falls=True),
    Field("name", "Its name.", lambda run, _: run.label),
    Field("state", "running, paused, finished, stopped, crashed, diverged, stalled, …", lambda run, _: run.state, whole=True),
    Field("preset", "The preset it was made from.", lambda run, _: run.summary.preset, whole=True),
    Field("tag", "One of its tags.", lambda run, _: run.notes.tags, whole=True),
    Field("note", "Its note.", lambda run, _: run.notes.note),
    Field("root", "The folder of runs it is in, for others than the console's own.", lambda run, _: run.origin, whole=True),
    Field("message", "Its last word.", lambda run, _: run.summary.message),
    Field("step", "Its newest step.", lambda run, _: float(run.summary.step), falls=True),
    Field("steps", "Steps of the whole run.", lambda run, _: run.summary.steps or None, falls=True),
    Field("progress", "Share of its steps that is done.", _progress, falls=True),
    Field("tokens", "Tokens trained.", lambda run, _: run.summary.tokens or None, falls=True),
    Field("loss", "Newest training loss (loss/ce).", lambda run, _: run.summary.loss),
    Field("trend", "Relative change of its newest losses.", lambda run, _: run.trend),
    Field("bpb", "Held-out bits per byte.", lambda run, _: run.summary.bits_per_byte),
    Field("speed", "Tokens a second.", lambda run, _: run.summary.tokens_per_second, falls=True),
    Field("left", "Seconds of training left; 2h, 30m may be written.", lambda run, _: run.summary.eta),
    Field("age", "Seconds since its beginning; 2h, 3d may be written.", _age),
    Field("alerts", "Alerts it raised.", lambda run, context: float(context.alerts(run)), falls=True),
)  # fmt: skip
BY_NAME = {field.name: field for field in FIELDS}
Getter = Callable[[Listed, Context], Value]


@dataclass(frozen=True)
class Key:
    """What a name of a filter or a sort order means. `config` says that the runs' configurations are needed."""

    name: str
    get: Getter
    config: bool = False
    falls: bool = False
    whole: bool = True


@cache
def config_keys() -> frozenset[str]:
    """Every key of a configuration."""
    from nanocore.config.fields import fields

    return frozenset(field.key for field in fields())


def find_key(name: str, metrics: Collection[str] = ()) -> Key | None:
    """What a name means: a field, an alias, a metric (known, or among `metrics`), a configuration key; None if nothing."""
    if (field := BY_NAME.get(name)) is not None:
        return Key(name, field.get, falls=field.falls, whole=field.whole)
    name = ALIASES.get(name, name)
    if "/" in name and (name in metrics or find_metric(name) is not None):
        falls = (known := find_metric(name)) is not None and known.goal == "high"
        return Key(name, lambda run, _: run.measures.get(name), falls=falls)
    if "." in name and name in config_keys():
        return Key(name, lambda run, _: _config_value(run, name), config=True)
    return None


def nearest(name: str, metrics: Collection[str] = ()) -> str:
    """The known name most like this one, "" when none is."""
    known = [*BY_NAME, *ALIASES, *METRICS, *metrics, *(config_keys() if "." in name else ())]
    return next(iter(difflib.get_close_matches(name, known, n=1)), "")


def _config_value(run: Listed, key: str) -> Value:
    value = (run.config or {}).get(key)
    if isinstance(value, bool):
        return "on" if value else "off"
    return float(value) if isinstance(value, int | float) else None if value is None else str(value)
