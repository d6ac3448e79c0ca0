"""Whether the machine was free while the runs of an experiment trained: only then do times say something."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nanocore.compare.results import Result

STARVED = 0.8  # of a processor, below which a run that computes with one thread waited for other programs
CROWDED = 1.25  # load average per CPU; where no share is known


def load(results: Sequence[Result]) -> dict[str, Any]:
    """The least share of a processor that a run had, and the most load average as one began; None where not recorded.

    Runs are counted by name: one that stands for another is among the results twice.
    """
    shares = {result.run: share for result in results if (share := result.processor_share) is not None}
    least = min(shares, key=lambda run: shares[run], default="")
    averages = [average for result in results if (average := load_average(result)) is not None]
    return {
        "processor_share": shares.get(least),
        "processor_share_of": least,
        "load_average": max(averages, default=None),
        "runs": len(shares.keys() | {result.run for result in results if load_average(result) is not None}),
        "starved": sum(share < STARVED for share in shares.values()),
        "crowded": len({result.run for result in results if _crowded(result)}),
    }


def busy(found: dict[str, Any]) -> list[str]:
    """What the load makes worthless, in words; nothing on a free machine."""
    words = []
    if found["starved"]:
        words.append(
            f"{found['starved']} of {found['runs']} runs had less than {STARVED:.0%} of the processor they computed on "
            f"(least {found['processor_share']:.0%}, {found['processor_share_of']})"
        )
    if found["crowded"]:
        words.append(
            f"{found['crowded']} of {found['runs']} runs began with more work waiting than the machine has CPUs for "
            f"(load average up to {found['load_average']:g})"
        )
    what = "no time and no tok/s here is a finding, while bits per byte at equal steps and memory are not touched"
    return [f"the machine was busy with other work: {'; '.join(words)}: {what}"] if words else []


def load_average(result: Result) -> float | None:
    """That of the last minute before the run trained."""
    found = (result.facts or {}).get("load_average")
    return float(found) if isinstance(found, int | float) else None


def _crowded(result: Result) -> bool:
    """Where a run's own share is known, that is the better witness: a load average counts what only waits for a disk."""
    average, machine = load_average(result), (result.facts or {}).get("machine") or {}
    cpus = machine.get("cpus") if isinstance(machine, dict) else None
    if result.processor_share is not None or average is None or not isinstance(cpus, int):
        return False
    return average > CROWDED * cpus
