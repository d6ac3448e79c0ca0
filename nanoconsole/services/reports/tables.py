"""The tables of a report as headings and cells, the same for every form it is written in."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nanoconsole.services.configs import shown
from nanoconsole.services.format import NOTHING, count, number, size

KEYS = 200  # rows of a difference that are listed


@dataclass(frozen=True)
class Table:
    """One table; every cell is plain text that its writer escapes. `note` stands below it."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def title_of(document: Mapping[str, Any]) -> str:
    names = [run["name"] for run in document["runs"]]
    return names[0] if len(names) == 1 else f"{len(names)} runs: {', '.join(names)}"


def when(moment: float) -> str:
    """A moment in UTC, a dash for one that is not known."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment)) if 0 < moment < 1e11 else NOTHING


def tables(document: Mapping[str, Any]) -> Iterator[Table]:
    """The tables of all runs together."""
    names = tuple(run["name"] for run in document["runs"])
    yield Table("Runs", ("", *names), tuple(_overview(document["runs"])))
    if document["finals"]:
        yield Table(
            "Newest values",
            ("metric", *names),
            tuple((row["metric"], *map(_value, row["values"])) for row in document["finals"]),
        )
    several = len(names) > 1
    columns = names if several else ("preset or default", *names)
    rows = [(row["key"], *map(shown, row["values"])) for row in document["config"]]
    more = f"{len(rows) - KEYS} more keys differ." if len(rows) > KEYS else ""
    if rows:
        yield Table("What differs in the configuration", ("key", *columns), tuple(rows[:KEYS]), more)


def of_run(run: Mapping[str, Any]) -> Iterator[Table]:
    """The tables of one run."""
    if run["checkpoints"]:
        rows = tuple(_saved(each) for each in run["checkpoints"])
        yield Table(
            "Checkpoints",
            ("step", "size", "held-out loss", ""),
            rows,
            "By the sizes of their files; hashes were not read.",
        )
    if run["events"]:
        yield Table(
            "What happened", ("step", "", ""), tuple((f"{e['step']:,}", e["kind"], e["text"]) for e in run["events"])
        )
    facts = [*run["machine"].items(), *run["versions"].items(), *([("git", run["git"])] if run["git"] else [])]
    if facts:
        yield Table("Machine and versions", ("", ""), tuple((key, value) for key, value in facts))


def _overview(runs: list[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    shown_of = {
        "state": lambda run: run["state"] + (f": {run['message']}" if run["message"] else ""),
        "preset": lambda run: run["preset"] or NOTHING,
        "began with": lambda run: run["parent"] or NOTHING,
        "launched": lambda run: when(run["created"]),
        "steps": lambda run: f"{run['step']:,} of {run['steps']:,}" if run["steps"] else f"{run['step']:,}",
        "tokens": lambda run: count(run["tokens"]),
        "parameters": lambda run: count(run["parameters"]),
        "tags": lambda run: ", ".join(run["tags"]) or NOTHING,
        "note": lambda run: run["note"] or NOTHING,
    }
    rows = [(label, *(tell(run) for run in runs)) for label, tell in shown_of.items()]
    return [row for row in rows if any(cell != NOTHING for cell in row[1:])]


def _saved(each: Mapping[str, Any]) -> tuple[str, ...]:
    marks = ", ".join(
        [*(["best"] * each["best"]), *(["newest"] * each["newest"]), *([each["problem"]] if each["problem"] else [])]
    )
    return (f"{each['step']:,}", size(each["bytes"]), number(each["held_out"]), marks)


def _value(value: float | str | None) -> str:
    return value if isinstance(value, str) else number(value)
