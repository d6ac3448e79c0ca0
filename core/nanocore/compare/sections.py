"""The report of an experiment as sections of text and tables, the same for every form it is written in."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nanocore.wording import counted

Document = dict[str, Any]
Row = dict[str, Any]
NONE = "–"
AT_STEPS = " †"
TABLES = (("equal_steps", "Equal steps (same tokens)"), ("equal_time", "Equal training time"))
QUALITY = (
    "variant", "seeds", "bits/byte", "± seeds", "difference", "95 % interval", "p", "CE nats/token", "CE difference %", "verdict",
)  # fmt: skip
COST = (
    "variant", "steps", "tokens", "training s", "tok/s", "step ms", "step ms alone", "x baseline", "optimizer MiB", "peak MiB",
)  # fmt: skip
TIME = (
    "variant", "data wait ms", "forward ms", "backward ms", "optimizer ms", "between steps ms", "data wait %", "device use %",
    "MFU %", "kept %", "gain",
)  # fmt: skip
ARRIVAL = (
    "variant", "got there", "tokens", "baseline's tokens", "tokens %", "seconds", "baseline's seconds", "seconds %",
)  # fmt: skip
ARRIVED = (
    "Means over the seeds that got there; the baseline's over those same seeds, until it first had that loss itself; and their "
    "share of it: where not all got there, the figures are of the better ones."
)


@dataclass(frozen=True)
class Section:
    """A title (level 2, or 3 within the one before), then paragraphs, items and a table, as far as there are any.

    A table of words (`words`) has lines of sentences, which belong together however narrow the page is.
    """

    title: str
    level: int = 2
    text: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    headings: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    words: bool = False


def title(document: Document) -> str:
    return f"Comparison {document['name']}"


def sections(document: Document) -> Iterator[Section]:
    """All of the report, in its order; the first section has no title."""
    yield Section("", text=tuple(_introduction(document)))
    for key, words in TABLES:
        if document[key] and begun(document):
            yield from _tables(document[key], words, document)
    if document["claims"] and begun(document):
        yield _claims(document["claims"])
    changes = tuple(f"{name}: {'; '.join(found) or 'none'}" for name, found in document["variants"].items())
    yield Section("Differences from the baseline", items=changes)
    missing = tuple(f"{run['run']}: {run['reason']}" for run in document["runs"] if not _has_result(run))
    if missing:
        yield Section("Runs without a result", items=missing)


def begun(document: Document) -> bool:
    """Whether anything of it has been trained."""
    return any(run["step"] or _has_result(run) for run in document["runs"])


def _tables(table: list[Row], words: str, document: Document) -> Iterator[Section]:
    shared = any(row["as_at_steps"] for row in table)
    tolerance = f"{100 * document['time_tolerance']:.0f} %"
    note = f"† takes the baseline's time, within {tolerance} or as far as the calibration can tell: its runs at equal steps stand here too."
    yield Section(words, text=(note,) if shared else (), headings=QUALITY, rows=tuple(map(_quality, table)))
    yield Section("Time and memory", 3, headings=COST, rows=tuple(map(_cost, table)))
    yield Section("Where the time goes", 3, headings=TIME, rows=tuple(map(_time, table)))
    arrivals = tuple(map(_arrival, table))
    yield Section("To the loss that the baseline ends with", 3, (ARRIVED,), headings=ARRIVAL, rows=arrivals)


def _introduction(document: Document) -> list[str]:
    lines = [
        f"{document['preset']}; {document['steps']} steps; {_seeds(document['seeds'])}; {_threads(document['threads'])}. "
        "Differences are variant minus baseline, paired by seed, with a 95 % Student-t interval; below 0 is better. "
        "p is Holm-corrected over the variants of a table. docs/comparisons.md explains every column."
    ]
    if document["sets"]:
        lines.append(f"All runs: {'; '.join(last_of_each(document['sets']))}.")
    if not begun(document):
        return [*lines, "NOTHING HAS BEEN TRAINED YET: the runs that it needs are listed below.", _made(document)]
    lines.append(f"Power: {document['power_words']}.")
    if not document["complete"]:
        lines.append("NOT COMPLETE: some runs have no result; they are listed below.")
    lines += [f"Warning: {text}." for text in document["warnings"]]
    lines += map(_machine, document["machines"])
    return [*lines, *_load(document["load"]), _made(document)]


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}"


def _threads(threads: int) -> str:
    return f"{counted(threads, 'thread')} a run" if threads else "as many threads a run as there are"


def last_of_each(sets: Sequence[str]) -> list[str]:
    """Overrides as they hold: of a key that is set twice the last."""
    return list({text.partition("=")[0].strip(): text for text in sets}.values())


def _machine(one: Row) -> str:
    """The processor or GPU, CPUs and memory, as far as they were recorded, then versions and revision."""
    known = dict(one["machine"])
    device, cpus, memory = known.pop("device", None), known.pop("cpus", None), known.pop("memory_gib", None)
    parts = [
        f"{known.pop('device_name', 'unknown')}{f' ({device})' if device else ''}",
        *([f"{cpus} CPU{'s' if cpus != 1 else ''}"] if cpus else []),
        *([f"{memory} GiB memory"] if memory else []),
        *(f"{key} {value}" for key, value in known.items()),
    ]
    versions = ", ".join(f"{key} {value}" for key, value in one["versions"].items() if value)
    return f"Machine: {', '.join(parts)}. Versions: {versions or 'unknown'}. Revision: {one['git'] or 'unknown'}."


def _load(found: Row) -> list[str]:
    """How free the machine was, as far as it was recorded."""
    words = []
    if found["processor_share"] is not None:
        words.append(f"each run had {found['processor_share']:.0%} of its processor or more")
    if found["load_average"] is not None:
        words.append(f"the load average before a run was at most {found['load_average']:g}")
    return [f"Load: {'; '.join(words)}."] if words else []


def _made(document: Document) -> str:
    made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(document["created"]))
    return f"Made {made}{f' by: {shlex.join(command)}' if (command := document['command']) else ''}"


def _quality(row: Row) -> tuple[str, ...]:
    """Held-out measures."""
    bits, percent = row["difference"] or {}, row["ce_difference_percent"] or {}
    p = row["corrected_p"] if row["corrected_p"] is not None else bits.get("p")
    return (
        _name(row), f"{row['finished']} of {row['seeds']}", figure(row["bits_per_byte"]), figure(row["bits_per_byte_deviation"]),
        figure(bits.get("mean"), "+.4f"), interval(bits, "+.4f"), figure(p, ".3g"), figure(row["ce"]),
        f"{figure(percent.get('mean'), '+.2f')} {interval(percent, '+.2f')}".removesuffix(f" {NONE}"), row["verdict"] or NONE,
    )  # fmt: skip


def _cost(row: Row) -> tuple[str, ...]:
    return (
        _name(row), figure(row["steps"], ".0f"), figure(row["tokens"], ".0f"), figure(row["seconds"], ".1f"),
        figure(row["tokens_per_second"], ".0f"), figure(row["step_seconds"], ".2f", 1e3),
        figure(row["step_seconds_alone"], ".2f", 1e3), _times(row["step_ratio_alone"]), figure(row["optimizer_bytes"], ".3f", 2**-20),
        f"{figure(row['peak_bytes'], '.1f', 2**-20)} {row['peak_of']}".strip(),
    )  # fmt: skip


def _times(found: Row | None) -> str:
    return f"{found['ratio']:.3f} {interval(found, '.3f')}" if found else NONE


def _time(row: Row) -> tuple[str, ...]:
    shares = (row["data_wait_share"], row["utilisation"], row["mfu"], row["kept_fraction"])
    return (
        _name(row), *(figure(seconds, ".2f", 1e3) for seconds in row["parts"].values()), figure(row["between_steps_seconds"], ".2f", 1e3),
        *(figure(share, ".1f", 100) for share in shares), figure(row["gain"], ".3f"),
    )  # fmt: skip


def _arrival(row: Row) -> tuple[str, ...]:
    found = row["to_baseline"]
    return (
        _name(row), f"{found['reached']} of {found['seeds']}" if found["seeds"] else NONE, figure(found["tokens"], ".0f"),
        figure(found["baseline_tokens"], ".0f"), figure(found["tokens_share"], ".1f", 100), figure(found["seconds"], ".1f"),
        figure(found["baseline_seconds"], ".1f"), figure(found["seconds_share"], ".1f", 100),
    )  # fmt: skip


def _claims(found: Sequence[Row]) -> Section:
    text = (
        "What was measured here is at this scale alone: a claim at another scale is neither confirmed nor refuted by it.",
    )
    rows = tuple((each["variant"], each["claim"], each["scale"], each["source"], each["measured"]) for each in found)
    headings = ("variant", "claim", "its scale", "source", "measured here")
    return Section("Beside what is claimed", 2, text, (), headings, rows, words=True)


def _name(row: Row) -> str:
    return row["variant"] + (AT_STEPS if row["as_at_steps"] else "")


def _has_result(run: Row) -> bool:
    return run["times"] is not None or (run["bits_per_byte"] is not None and run["ce"] is not None)


def interval(values: Row, form: str) -> str:
    """Both ends of an interval, a dash where there is none."""
    return NONE if values.get("low") is None else f"[{values['low']:{form}}, {values['high']:{form}}]"


def figure(value: float | None, form: str = ".4f", scale: float = 1.0) -> str:
    """A number in its form, a dash where there is none."""
    return NONE if value is None else f"{value * scale:{form}}"
