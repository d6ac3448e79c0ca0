"""What a report tells of runs, as one JSON document; every text in it is sanitised."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from nanoconsole.services import checkpoints
from nanoconsole.services.alert_log import AlertLog
from nanoconsole.services.comparison import FINALS
from nanoconsole.services.configs import Flat, differing, read_flat
from nanoconsole.services.milestones import MilestoneReader
from nanoconsole.services.overlay import Overlay
from nanoconsole.services.reports.plot import Plot, plots
from nanoconsole.services.samples import read_sample, sample_steps
from nanocore.runs.create import read_run
from nanocore.runs.facts import read_facts
from nanocore.runs.layout import RunFolder
from nanocore.runs.notes import read_notes
from nanocore.runs.summary import summarize
from nanocore.runs.text import sanitize_line

SCHEMA = 1
FEATURED = (*FINALS, "training/grad_norm", "mhc/composite_gain", "mhc/stream_cosine")
EVENTS, SAMPLES = 40, 2  # of each run: the newest events, the first and the last sample


def gather(runs: Sequence[RunFolder], now: float | None = None) -> tuple[dict[str, Any], list[Plot]]:
    """The document, and the plots of the main metrics over the steps. Runs beyond the most of an overlay are not drawn."""
    overlay = Overlay(runs)
    while overlay.poll():
        pass
    document = {
        "schema": SCHEMA,
        "created": time.time() if now is None else now,
        "runs": [_run(run) for run in runs],
        "finals": [{"metric": metric, "values": values} for metric, values in _finals(overlay, runs)],
        "config": [{"key": key, "values": values} for key, values in _config(runs)],
    }
    return document, plots(overlay)


def _run(run: RunFolder) -> dict[str, Any]:
    summary, facts, known, notes = summarize(run), read_facts(run), read_run(run), read_notes(run)
    return {
        "name": run.name,
        "path": str(run.path),
        "state": summary.state,
        "message": summary.message,
        "preset": facts.preset,
        "parent": f"{facts.parent.run}@{facts.parent.step}" if facts.parent else "",
        "created": facts.created,
        "step": summary.step,
        "steps": summary.steps,
        "tokens": summary.tokens,
        "parameters": facts.parameters,
        "tags": list(notes.tags),
        "note": notes.note,
        "machine": _words(facts.machine),
        "versions": _words(known.get("versions")),
        "git": sanitize_line(str(known.get("git") or "")),
        "checkpoints": [_checkpoint(saved) for saved in checkpoints.read(run)],
        "events": _events(run, facts.created),
        "samples": _samples(run),
    }


def _words(table: object) -> dict[str, str]:
    """The entries of a table that are no tables, as safe words."""
    if not isinstance(table, dict):
        return {}
    kept = {
        key: value for key, value in table.items() if value not in (None, "") and not isinstance(value, dict | list)
    }
    return {sanitize_line(str(key), 60): sanitize_line(str(value), 200) for key, value in kept.items()}


def _checkpoint(saved: checkpoints.Saved) -> dict[str, Any]:
    facts = saved.facts()
    return {key: facts[key] for key in ("step", "bytes", "state", "problem", "held_out", "best", "newest")}


def _events(run: RunFolder, created: float) -> list[dict[str, Any]]:
    """What happened, and the alerts that consoles raised, by step; the newest of many."""
    happened = [
        {"step": each.step, "kind": each.kind, "text": each.text}
        for each in _milestones(run)
        if each.kind != "checkpoint"
    ]
    raised = [
        {"step": alert.step, "kind": "alert", "text": f"{alert.title}: {alert.text}"}
        for alert in AlertLog(run.path.parent).read().of(run, created)
    ]
    return sorted([*happened, *raised], key=lambda event: event["step"])[-EVENTS:]


def _milestones(run: RunFolder) -> tuple[Any, ...]:
    """All of them: events come a part at a time, and the last part brings nothing."""
    reader = MilestoneReader(run)
    found, more = reader.read(), reader.read()
    while more != found:
        found, more = more, reader.read()
    return found


def _samples(run: RunFolder) -> list[dict[str, Any]]:
    steps = sample_steps(run)
    chosen = list(dict.fromkeys([*steps[:1], *steps[-1:]]))[:SAMPLES]
    return [read_sample(run, step).facts() for step in chosen]


def _finals(overlay: Overlay, runs: Sequence[RunFolder]) -> list[tuple[str, list[float | str | None]]]:
    """The newest value of the main metrics in each run; not-finite ones in words."""
    places = {member.run: index for index, member in enumerate(overlay.members)}
    found = []
    for metric in FEATURED:
        values = [overlay.last(f"{places[run]}/{metric}") if run in places else None for run in runs]
        if any(value is not None for value in values):
            found.append((metric, [_plain(value) for value in values]))
    return found


def _plain(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(value)


def _config(runs: Sequence[RunFolder]) -> list[tuple[str, list[object]]]:
    """Of several runs every key in which they differ, of one run every key that is not as its preset, or default, has it."""
    configs = [read_flat(run) for run in runs]
    if len(runs) > 1:
        return differing(configs)
    return differing([_base(read_facts(runs[0]).preset), configs[0]])


def _base(preset: str) -> Flat:
    """The preset's values; the defaults where it is none, or none any more."""
    import tomllib

    from nanoconsole.services.configs import flat
    from nanocore.config.resolve import resolve
    from nanocore.config.schema import Config
    from nanocore.config.toml import dump
    from nanocore.errors import NanoError

    try:
        config = resolve(preset) if preset and "/" not in preset else Config()
    except NanoError:
        config = Config()
    return flat(tomllib.loads(dump(config)))
