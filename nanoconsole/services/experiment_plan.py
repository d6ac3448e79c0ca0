"""What an experiment still has to train, in words, before hours of it begin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path

from nanoconsole.services.cost import Timing, cost, read_timings
from nanoconsole.services.format import duration
from nanocore.compare.experiment import Kind, Planned, plan
from nanocore.compare.spec import BASELINE, Spec
from nanocore.config.advice import advice
from nanocore.errors import NanoError
from nanocore.wording import counted

CALIBRATED = 6  # steps of a round: three of the baseline, three of the variant
KINDS: tuple[Kind, ...] = ("steps", "time", "calibration")


def told(spec: Spec, root: Path, queued: Collection[str], slots: int) -> str:
    """`12 runs at equal steps, 2 calibrations, up to 6 at equal time; about 20 min, by the speed of runs ...`."""
    items = [item for item in plan(spec) if item.name in queued]
    counts = Counter(item.kind for item in items)
    spared = any(item.pace is not None and item.pace.tolerance for item in items)  # if its calibration says so
    known = (
        (counts["steps"], f"{counted(counts['steps'], 'run')} at equal steps"),
        (counts["calibration"], counted(counts["calibration"], "calibration")),
        (counts["time"], f"{'up to ' if spared else ''}{counted(counts['time'], 'run')} at equal time"),
    )
    words = ", ".join(text for count, text in known if count) or "nothing is left to train"
    return words + _length(spec, items, read_timings(root) if items else [], slots)


def notes(spec: Spec) -> list[str]:
    """What is allowed in a variant and probably not meant: the advice on its configuration that is none on the baseline's."""
    configs = {item.variant: item.config for item in plan(spec) if item.kind != "calibration"}
    known = set(advice(configs[BASELINE]))
    found = {name: [line for line in advice(configs[name]) if line not in known] for name in spec.variants}
    return [f"variant {name}: {line}" for name, lines in found.items() for line in lines]


def _length(spec: Spec, items: list[Planned], timings: list[Timing], slots: int) -> str:
    """How long all of it takes at the speed of a run that finished here; "" where there is none like it."""
    each = {(item.variant, item.kind): item for item in items}  # of the seeds one
    found = {key: seconds for key, item in each.items() if (seconds := _seconds(item, timings)) is not None}
    if not found or len(found) < len(each):
        return ""
    whole = {kind: sum(found[item.variant, kind] for item in items if item.kind == kind) for kind in KINDS}
    calibrated = whole["calibration"] * CALIBRATED * spec.calibration_rounds / spec.steps
    seconds = (whole["steps"] + whole["time"]) / slots + calibrated
    return f"; about {duration(seconds)}, by the speed of runs like them on this machine"


def _seconds(item: Planned, timings: list[Timing]) -> float | None:
    try:
        found = cost(item.config, timings)
    except NanoError:  # its tokenizer's file, say: the trainer tells it
        return None
    return found.seconds if found.like else None
