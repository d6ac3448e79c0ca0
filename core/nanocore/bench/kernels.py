"""`bench kernels`: limits of the machine, products beside them, and whole models, in one process and one report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nanocore.bench import machine
from nanocore.bench.end_to_end import end_to_end
from nanocore.bench.host import warnings
from nanocore.bench.limits import limits, memory_bytes, natives
from nanocore.bench.matrices import Matrices
from nanocore.bench.products import QUICK_SHAPES, SHAPES, TOKENS, cases, products
from nanocore.bench.race import Effort
from nanocore.bench.sides import absent
from nanocore.errors import UsageError
from nanokernels import native, native_ops
from nanokernels.tuned_file import cpus

SCHEMA = 1
PARTS = ("limits", *TOKENS, "end-to-end")
FULL, QUICK = Effort(11, 0.01), Effort(3, 0.002)
LEFT_OUT = {
    "reference": "the specification in numpy, not made to be fast",
    "triton": "on a CPU only its interpreter runs, one instruction after another",
}
Progress = Callable[[str], None]


def bench_kernels(
    parts: Sequence[str] = PARTS, threads: Sequence[int] = (), *, quick: bool = False, progress: Progress = print
) -> dict[str, Any]:
    """Measure the named parts with each number of threads; the report is plain data.

    Without `threads` it is 1, and 2 where there are two CPUs. Raises UsageError for a number that makes no sense, and
    NanoError where any contestant computes wrong numbers: a wrong kernel has no speed.
    """
    if wrong := [count for count in threads if not 1 <= count <= native_ops.most_threads()]:
        raise UsageError(f"threads {wrong[0]} is not between 1 and {native_ops.most_threads()}")
    counts = tuple(threads) or (1, 2)[: min(2, cpus())]
    effort, found = QUICK if quick else FULL, machine.facts()
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "quick": quick,
        "threads": list(counts),
        "machine": found,
        "warnings": warnings(found),
        "memory_bytes": memory_bytes(quick=quick),
        "left_out": LEFT_OUT | ({"llama.cpp": missing} if (missing := absent()) else {}),
    }
    if "limits" in parts:
        report["limits"] = _limits(counts, quick, effort, progress)
    report |= _products([part for part in TOKENS if part in parts], counts, quick, effort, progress)
    if "end-to-end" in parts:
        report["end_to_end"] = end_to_end(counts, quick=quick, progress=progress)
    return report


def _limits(counts: Sequence[int], quick: bool, effort: Effort, progress: Progress) -> dict[str, Any]:
    if not natives():
        return {"skipped": f"not run: no native kernels: {native.find().reason}", "measured": []}
    progress("limits of the machine")
    return {"skipped": "", "measured": [limits(count, quick=quick, effort=effort) for count in counts]}


def _products(
    parts: Sequence[str], counts: Sequence[int], quick: bool, effort: Effort, progress: Progress
) -> dict[str, list[dict[str, Any]]]:
    """Each part's races, shape by shape."""
    found: dict[str, list[dict[str, Any]]] = {part: [] for part in parts}
    for shape in (QUICK_SHAPES if quick else SHAPES) if parts else ():
        for count in counts:
            matrices = Matrices(*shape, memory_bytes(quick=quick), count)
            for part in parts:
                for case in cases(part, shape, count):
                    progress(f"{part}, {case.words}")
                    found[part].append(products(case, matrices, effort))
    return found
