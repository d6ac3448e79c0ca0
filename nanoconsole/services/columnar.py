"""A block of metric records as columns: decoded at once where its lines are plain, one by one where they are not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Annotated, Any

import msgspec
import numpy as np

from nanoconsole.services.columns import Floats, Integers
from nanocore.runs.curve import LARGEST_STEP, NOT_METRICS, attempt_of, number, usable, value
from nanocore.runs.records import SCHEMA, Record, decode

MOST_FIELDS = 256  # metrics that a decoder learns; a file with more is read line by line
Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_STEP)]
COMMON: tuple[tuple[str, Any, Any], ...] = (
    ("step", Count, msgspec.NODEFAULT),
    ("attempt", Count, 1),
    ("tokens", float, math.nan),
    ("elapsed", float, math.nan),
    ("schema", Annotated[int, msgspec.Meta(ge=-LARGEST_STEP, le=SCHEMA)], SCHEMA),
    ("time", Any, None),
    ("kind", Any, None),
)


@dataclass(frozen=True)
class Chunk:
    """Records in file order, those without a place on the curve left out.

    `metrics` holds for each name the records (ascending indices) that have a value, and the values.
    """

    steps: Integers
    attempts: Integers
    tokens: Floats  # nan where not recorded
    elapsed: Floats
    metrics: Mapping[str, tuple[Integers, Floats]]

    def __len__(self) -> int:
        return len(self.steps)

    def take(self, records: Integers) -> Chunk:
        """Some of its records, in the order given (each at most once)."""
        place = np.full(len(self), -1)
        place[records] = np.arange(len(records))
        metrics = {}
        for name, (where, values) in self.metrics.items():
            moved = place[where]
            order = np.argsort(moved, kind="stable")
            order = order[moved[order] >= 0]
            metrics[name] = (moved[order], values[order])
        return Chunk(
            self.steps[records], self.attempts[records], self.tokens[records], self.elapsed[records], metrics=metrics
        )

    def then(self, other: Chunk) -> Chunk:
        """Its records and those of another chunk behind them."""
        names = dict.fromkeys([*self.metrics, *other.metrics])
        nothing = (np.empty(0, np.int64), np.empty(0))
        pairs = {name: (self.metrics.get(name, nothing), other.metrics.get(name, nothing)) for name in names}
        metrics = {
            name: (np.concatenate((one[0], two[0] + len(self))), np.concatenate((one[1], two[1])))
            for name, (one, two) in pairs.items()
        }
        columns = ((getattr(self, name), getattr(other, name)) for name in ("steps", "attempts", "tokens", "elapsed"))
        return Chunk(*map(np.concatenate, columns), metrics=metrics)


def columns_of(records: Iterable[Record]) -> Chunk:
    """Records that were decoded one by one."""
    usable_ones = [record for record in records if usable(record)]
    found: dict[str, tuple[list[int], list[float]]] = {}
    for index, record in enumerate(usable_ones):
        for key in record.keys() - NOT_METRICS:
            if (shown := value(record, key)) is not None:
                where, values = found.setdefault(key, ([], []))
                where.append(index)
                values.append(shown)
    return Chunk(
        np.array([record["step"] for record in usable_ones], np.int64),
        np.array([attempt_of(record) for record in usable_ones], np.int64),
        np.array([number(record.get("tokens")) for record in usable_ones], np.float64),
        np.array([number(record.get("elapsed")) for record in usable_ones], np.float64),
        {name: (np.array(where, np.int64), np.array(values)) for name, (where, values) in found.items()},
    )


def _plain(name: str) -> bool:
    """Whether JSON writes a name as it is; lines with another one always go the slow way."""
    return name.isascii() and name.isprintable() and not {'"', "\\"} & set(name)


class ChunkDecoder:
    """Decodes blocks of whole lines. It learns the names of metrics as they come; lines that are not exactly what it
    knows (another name, a null, a text) send their block the slow way. `skipped` counts lines that are no records."""

    def __init__(self) -> None:
        self.skipped = 0
        self._names: list[str] = []
        self._decoder: msgspec.json.Decoder[Any] | None = None
        self._fields: attrgetter[Any] | None = None

    def decode(self, block: bytes) -> Chunk:
        """The records of a block."""
        if self._decoder is not None:
            try:
                return self._quick(self._decoder.decode_lines(block))
            except (ValueError, RecursionError, msgspec.MsgspecError):
                pass
        records, skipped = decode(block)
        self.skipped += skipped
        self._learn(records)
        return columns_of(records)

    def _learn(self, records: Sequence[Record]) -> None:
        """Know the metrics of these records too, each written with the name that JSON gives it.

        Fields stand in the order of the file: the decoder looks for each key behind the one before.
        """
        keys = list(dict.fromkeys(key for record in records for key in record))
        fresh = [key for key in keys if key not in NOT_METRICS and key not in self._names and _plain(key)]
        if not fresh or len(self._names) + len(fresh) > MOST_FIELDS:
            return
        self._names += fresh
        fields = [f"m{index}" for index in range(len(self._names))]
        common = sorted(COMMON, key=lambda field: keys.index(field[0]) if field[0] in keys else len(keys))
        known = msgspec.defstruct(
            "Known",
            [*common, *((field, float, math.nan) for field in fields)],
            rename=dict(zip(fields, self._names, strict=True)),
            forbid_unknown_fields=True,
            kw_only=True,
            gc=False,
        )
        self._decoder = msgspec.json.Decoder(known)
        self._fields = attrgetter("step", "attempt", "tokens", "elapsed", *fields)

    def _quick(self, records: list[Any]) -> Chunk:
        width = 4 + len(self._names)
        flat = chain.from_iterable(map(self._fields, records))  # type: ignore[arg-type]
        table = np.fromiter(flat, np.float64, len(records) * width).reshape(-1, width).T.copy()
        missing = np.isnan(table[4:])
        every, counts = np.arange(len(records)), missing.sum(1).tolist()
        metrics = {}
        for name, values, absent, count in zip(self._names, table[4:], missing, counts, strict=True):
            if count < len(records):
                metrics[name] = (np.flatnonzero(~absent), values[~absent]) if count else (every, values)
        return Chunk(table[0].astype(np.int64), table[1].astype(np.int64), table[2], table[3], metrics)
