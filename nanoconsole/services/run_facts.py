"""What a run's folder says of its techniques beside the metrics: what is on, what the optimizer keeps, what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nanoconsole.services.format import number, size
from nanoconsole.services.techniques import state_form, with_details
from nanocore.errors import ConfigError
from nanocore.runs.create import read_run
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import Record, Tail
from nanocore.runs.text import sanitize_line

Stamp = tuple[int, int]
NEWEST = 3  # FIREs told of
FLOAT = 4  # bytes of float32
PROJECTOR = "projector"  # the kind of state that is there where GaLore projects a matrix
OF_MATRICES = ("momentum", "scales", PROJECTOR)  # kinds of state that Muon keeps, which nothing else does


@dataclass(frozen=True)
class Fired:
    """One FIRE: after which step, of how many matrices, and the largest distance from orthogonal that was left."""

    step: int
    matrices: int
    error: float

    @property
    def text(self) -> str:
        some = "matrix" if self.matrices == 1 else "matrices"
        return f"step {self.step:,}: {self.matrices} {some} within {number(self.error)} of orthogonal"


@dataclass(frozen=True)
class RunFacts:
    """`techniques` are switches away from their defaults, with such details of them.

    `optimizer` is bytes of live state by kind, None when unknown, `estimated` what it was expected to take, `form` how
    that of matrices is kept ("": float32 in full), `plain` how many bytes it would take so, `maps` the kind of the
    residual maps, `matrices` what FIRE would reinitialise, `streams` the newest verdict on the residual streams in words.
    """

    techniques: Mapping[str, str] = field(default_factory=dict)
    optimizer: Mapping[str, int] | None = None
    estimated: int | None = None
    form: str = ""
    plain: int | None = None
    maps: str = "lite"
    matrices: tuple[str, ...] = ()
    fired: tuple[Fired, ...] = ()
    streams: str = ""

    def lines(self) -> list[tuple[str, str]]:
        """Label and words of everything there is to say; of many FIREs the newest."""
        found = [("techniques", ", ".join(f"{key} {value}" for key, value in self.techniques.items()))]
        if self.optimizer is not None:
            found.append(("optimizer", self._optimizer(self.optimizer)))
        found += self.saving
        return [line for line in (*found, *(("FIRE", each.text) for each in self.fired[-NEWEST:])) if line[1]]

    @property
    def saving(self) -> list[tuple[str, str]]:
        """Label and words of a state that 8 bits or GaLore make smaller, with its share once the trainer counted it."""
        if not self.form:
            return []
        own = sum((self.optimizer or {}).get(kind, 0) for kind in OF_MATRICES)
        share = f": {own / self.plain:.1%} of float32 Muon's" if own and self.plain else ""
        return [("matrix state", f"{self.form}{share}")]

    def _optimizer(self, kinds: Mapping[str, int]) -> str:
        """`5.01 MiB: momentum 3.00 MiB, exp_avg 1.00 MiB; estimated 5.01 MiB`."""
        parts = ", ".join(f"{kind} {size(value)}" for kind, value in kinds.items())
        beside = f"; estimated {size(self.estimated)}" if self.estimated is not None else ""
        return f"{size(sum(kinds.values()))}: {parts}{beside}"


class FactsReader:
    """Reads the facts of one run again and again; only what changed is read anew."""

    def __init__(self, run: RunFolder) -> None:
        self._run, self._events = run, Tail(run.events_file)
        self._stamps: tuple[Stamp, ...] = ()
        self._facts = RunFacts()
        self._fires: list[Record] = []
        self._streams = ""

    def read(self) -> RunFacts:
        """The facts now; what cannot be read is unknown. Events come a part at a time."""
        news = self._events.read()
        if self._events.restarted:
            self._fires, self._streams = [], ""
        stamps = tuple(map(_stamp, (self._run.run_file, self._run.config_file)))
        if news or stamps != self._stamps:
            self._stamps = stamps
            self._take(news)
        return self._facts

    def read_whole(self) -> RunFacts:
        """The facts with all events there are."""
        facts = self.read()
        while self._events.pending:
            facts = self.read()
        return facts

    def _take(self, news: Sequence[Record]) -> None:
        self._fires += [event for event in news if event.get("kind") == "fire"]
        told = [str(event.get("message", "")) for event in news if event.get("kind") == "health"]
        self._streams = told[-1] if told else self._streams
        known, table = read_run(self._run), _table(self._run.config_file)
        counted, estimated = known.get("optimizer_state"), known.get("optimizer_estimate")
        optimizer = _kinds(counted) if isinstance(counted, dict) else None
        self._facts = RunFacts(
            techniques={key: _words(value) for key, value in with_details(table).items()},
            optimizer=optimizer,
            estimated=estimated if type(estimated) is int else None,
            form=_words(state_form(table, projects=optimizer is None or PROJECTOR in optimizer)),
            plain=_plain(known.get("groups")),
            maps=_words(_key(table, "mhc", "kind") or "lite"),
            matrices=_matrices(_key(table, "fire", "parameters")),
            fired=tuple(fires(self._fires)),
            streams=self._streams,
        )


def fires(events: Sequence[Record]) -> list[Fired]:
    """FIREs from their events, which come one for each matrix; those of one step of one attempt belong together."""
    groups: dict[tuple[object, int], list[float]] = {}
    for event in events:
        step, error = event.get("step"), event.get("error")
        if type(step) is int:
            groups.setdefault((event.get("attempt"), step), []).append(error if type(error) is float else 0.0)
    return [Fired(step, len(errors), max(errors)) for (_, step), errors in groups.items()]


def _table(path: Path) -> dict[str, Any]:
    """The run's configuration as it stands in its file; {} when it cannot be read."""
    from nanocore.config.toml_text import read_table

    try:
        return read_table(path)
    except ConfigError:
        return {}


def _key(table: Mapping[str, Any], section: str, name: str) -> object:
    found = table.get(section)
    return found.get(name) if isinstance(found, dict) else None


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.12g}" if isinstance(value, float) else sanitize_line(str(value), 60)


def _matrices(value: object) -> tuple[str, ...]:
    return tuple(map(_words, value)) if isinstance(value, list) else ()


def _kinds(state: Mapping[str, object]) -> dict[str, int]:
    return {_words(kind): value for kind, value in state.items() if type(value) is int}


def _plain(groups: object) -> int | None:
    """Bytes that Muon's momentum would take in float32 and in full, from the groups that the trainer recorded."""
    for group in groups if isinstance(groups, list) else ():
        if isinstance(group, dict) and group.get("optimizer") == "muon" and type(group.get("values")) is int:
            return FLOAT * group["values"]
    return None


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)
