"""What the techniques do to held-out loss, as the table of docs/techniques.md: python -m tests.bench.measured

Reads docs/experiments/results/NAME.json, which `nanoconsole compare docs/experiments/NAME.toml --report-only --json` printed,
and those of the same experiments on another processor in results/avx2; writes the table between its two marks in docs/techniques.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nanocore.compare.statistics import paired

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = DOCS / "experiments" / "results"
ELSEWHERE = RESULTS / "avx2"
PAGE = DOCS / "techniques.md"
START, STOP = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
HEAD = (
    "| technique | variant | step time | optimizer state | peak memory | CE at equal steps: % (baseline: nats) "
    "| CE at equal time: % (baseline: nats) | verdict | CE at equal steps on another processor: % (baseline: nats) |",
    "|---|---|---|---|---|---|---|---|---|",
)
BASELINES = {  # row: the experiment whose report has its runs
    "Baseline of objective": "objective",
    "Baseline of optimizer, model, recipe, 8-bit, galore, filter and fp4": "optimizer",
    "Baseline of cost, 60 steps": "cost",
}
# Variants that compute something else since the runs on the other processor: GaLore's update had a factor sqrt(k / r) there.
CHANGED = {("optimizer", "galore"), ("optimizer", "galore-int8")}
COST = "cost"  # the experiment that tells the step time of variants which their own experiment did not calibrate
ROWS = {  # technique: experiment and variant
    "Multi-token prediction, 1 head": ("objective", "mtp-1"),
    "Multi-token prediction, 3 heads": ("objective", "mtp-3"),
    "Multi-token prediction, sequential": ("objective", "mtp-sequential"),
    "Collider, head": ("objective", "collider-head"),
    "Collider, full": ("objective", "collider-full"),
    "Collider, full, from the middle of the run": ("filter", "full-late"),
    "Collider, head, by a reference model": ("filter", "head-excess"),
    "Collider, full, by a reference model": ("filter", "full-excess"),
    "Label smoothing 0.1": ("objective", "smoothing"),
    "z-loss 1e-4": ("objective", "z-loss"),
    "Entropy bonus 0.01": ("objective", "entropy-bonus"),
    "One stream, no mHC": ("model", "one-stream"),
    "Four streams": ("model", "four-streams"),
    "mHC, dynamic maps": ("model", "dynamic"),
    "mHC, Sinkhorn": ("model", "sinkhorn"),
    "HC, unconstrained": ("model", "unconstrained"),
    "Gated DeltaNet, 3 of 4 layers": ("model", "gated-delta"),
    "DeltaNet, 3 of 4 layers": ("model", "delta"),
    "Experts, balanced by a bias": ("model", "experts"),
    "Experts, auxiliary loss": ("model", "experts-loss"),
    "LoopLM, 2 turns, equal parameters": ("model", "loop-2"),
    "LoopLM, 2 turns of half the blocks": ("model", "loop-2-of-2"),
    "LoopLM, 2 turns of half the blocks, narrower: equal FLOPs": ("model", "loop-2-flops"),
    "Float matrices, not ternary": ("model", "float"),
    "Activation checkpointing, selective": ("cost", "checkpointing-selective"),
    "Activation checkpointing, full": ("cost", "checkpointing-full"),
    "FP4 study, nvfp4": ("fp4", "nvfp4"),
    "FP4 study, mxfp4": ("fp4", "mxfp4"),
    "FP4 study, token": ("fp4", "token"),
    "8-bit Muon": ("optimizer", "int8"),
    "8-bit Muon, six seeds": ("8-bit", "int8"),
    "GaLore-Muon, rank 1/4": ("optimizer", "galore"),
    "GaLore-Muon, rank 1/4, a subspace every 20 steps": ("galore", "every-20"),
    "GaLore-Muon, rank 1/4, a subspace every 5 steps": ("galore", "every-5"),
    "GaLore-Muon, rank 1/4, every 20 steps, half the rate": ("galore", "every-20-slower"),
    "GaLore-Muon, rank 1/4, every 20 steps, twice the rate": ("galore", "every-20-faster"),
    "GaLore-Muon, rank 0.45, every 20 steps": ("galore", "higher-rank"),
    "GaLore-Muon, rank 1/4, every 20 steps, int4 projector": ("galore", "int4-projector"),
    "GaLore-Muon, 8 bits, int4 projector": ("optimizer", "galore-int8"),
    "AdamW for matrices": ("optimizer", "adamw"),
    "Lion for matrices": ("optimizer", "lion"),
    "Polar Express": ("recipe", "polar-express"),
    "Muon, AdamW's rms as scale": ("recipe", "rms-scale"),
    "8-bit Muon, dynamic": ("recipe", "int8-dynamic"),
    "8-bit Muon, stochastic rounding": ("recipe", "int8-stochastic"),
    "GaLore, adaptive refresh": ("recipe", "galore-adaptive"),
    "Weight decay 0.1": ("recipe", "weight-decay"),
    "Two-stage BitNet recipe": ("recipe", "two-stage"),
    "Cautious weight decay": ("recipe", "cautious"),
    "Cosine": ("recipe", "cosine"),
    "Linear": ("recipe", "linear"),
    "WSD, square-root decay": ("recipe", "sqrt-decay"),
    "Learning rates / 8 (power check)": ("optimizer", "power-check"),
}


def table(results: dict[str, dict[str, Any]], elsewhere: dict[str, dict[str, Any]]) -> str:
    """The Markdown table of the reports by experiment, beside the same on another machine; what is compared with comes first."""
    bases = [
        _baseline(name, experiment, results[experiment], elsewhere.get(experiment))
        for name, experiment in BASELINES.items()
        if experiment in results
    ]
    cost = results.get(COST)
    again = {place: None if place in CHANGED else elsewhere.get(place[0]) for place in ROWS.values()}
    lines = [_line(name, results.get(place[0]), place, again[place], cost) for name, place in ROWS.items()]
    return "\n".join([*HEAD, *bases, *lines]) + "\n"


def _baseline(name: str, experiment: str, document: dict[str, Any], again: dict[str, Any] | None) -> str:
    """What the runs cost and reached themselves; at equal time they stand as they are."""
    base = _row(document, "equal_steps", "baseline") or {}
    cells = [name, f"{experiment}: baseline", "1.00"]
    cells += [_mebibytes(base.get("optimizer_bytes"), 2), _mebibytes(base.get("peak_bytes"), 0)]
    cells += [_ends(base), "the same runs" if document.get("equal_time") else "–", "–"]
    cells.append(_ends(_row(again, "equal_steps", "baseline") or {}))
    return f"| {' | '.join(cells)} |"


def _ends(base: dict[str, Any]) -> str:
    """Held-out loss at the end, with the standard deviation over the seeds, in nats a token and in bits per byte."""
    ce, bits = (base.get(key) for key in ("ce", "bits_per_byte"))
    if ce is None or bits is None:
        return "–"
    scatter = base.get("ce_deviation")
    return f"{ce:.3f}{f' ± {scatter:.3f}' if scatter is not None else ''}, {bits:.3f} bits per byte{_missing(base)}"


def _missing(row: dict[str, Any]) -> str:
    """The seeds, where some are missing."""
    return "" if row["finished"] == row["seeds"] else f" ({row['finished']} of {row['seeds']} seeds)"


def _line(
    name: str,
    document: dict[str, Any] | None,
    place: tuple[str, str],
    again: dict[str, Any] | None,
    cost: dict[str, Any] | None,
) -> str:
    cells = [name, f"{place[0]}: {place[1]}"]
    found = {kind: _row(document, kind, place[1]) for kind in ("equal_steps", "equal_time")}
    steps = found["equal_steps"]
    there = _percent(_row(again, "equal_steps", place[1]))
    if document is None or steps is None or not steps["finished"]:
        return f"| {' | '.join([*cells, '', '', '', 'not measured yet', '', '', there])} |"
    times = (_ratio(each, place[1]) for each in (document, cost))
    cells += [
        next((time for time in times if time), "–"),
        _mebibytes(steps["optimizer_bytes"], 2),
        _mebibytes(steps["peak_bytes"], 0),
    ]
    cells += [_percent(steps), _percent(found["equal_time"]), _verdict(found)]
    cells.append(there + _together(_changes(document, place[1]), _changes(again, place[1])) if again else there)
    return f"| {' | '.join(cells)} |"


def _row(document: dict[str, Any] | None, kind: str, variant: str) -> dict[str, Any] | None:
    return next((row for row in (document or {}).get(kind, ()) if row["variant"] == variant), None)


def _ratio(document: dict[str, Any] | None, variant: str) -> str:
    """Step time alone on the machine over the baseline's; "" where it was not calibrated."""
    rows = (_row(document, "equal_steps", name) or {} for name in (variant, "baseline"))
    own, base = (row.get("step_seconds_alone") for row in rows)
    return f"{own / base:.2f}" if own and base else ""


def _mebibytes(count: float | None, digits: int) -> str:
    return f"{count / 2**20:.{digits}f} MiB" if count else "–"


def _percent(row: dict[str, Any] | None) -> str:
    """Mean and interval of the paired difference, and the seeds where some are missing."""
    found = row and row["ce_difference_percent"]
    if not row or not found:
        return "–"
    interval = f" [{found['low']:+.2f}, {found['high']:+.2f}]" if found["low"] is not None else ""
    return f"{found['mean']:+.2f}{interval}{_missing(row)}"


def _changes(document: dict[str, Any] | None, variant: str) -> dict[int, float]:
    """Percent by which each seed's loss at equal steps differs from the baseline's."""
    runs = [run for run in (document or {}).get("runs", ()) if run["kind"] == "steps" and run["ce"] is not None]
    losses = {(run["variant"], run["seed"]): run["ce"] for run in runs}
    base = {seed: loss for (name, seed), loss in losses.items() if name == "baseline"}
    return {seed: 100 * (losses[variant, seed] / loss - 1) for seed, loss in base.items() if (variant, seed) in losses}


def _together(here: dict[int, float], there: dict[int, float]) -> str:
    """The interval over the seeds, each the mean of both machines: the same seed is the same first weights and batches."""
    means = [(here[seed] + there[seed]) / 2 for seed in here if seed in there]
    if not (found := paired(means) if len(means) > 1 else None):
        return ""
    return f"; mean of both: {found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def _verdict(found: dict[str, dict[str, Any] | None]) -> str:
    """What the reports say, once where both kinds agree."""
    said = {kind: row["verdict"] for kind, row in found.items() if row and row["ce_difference_percent"]}
    words = {"equal_steps": "steps", "equal_time": "time"}
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return " / ".join(f"{words[kind]}: {verdict}" for kind, verdict in said.items())


def read_results(folder: Path = RESULTS) -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))}


def main() -> None:
    before, _, rest = PAGE.read_text("utf-8").partition(START)
    _, _, after = rest.partition(STOP)
    PAGE.write_text(before + START + table(read_results(), read_results(ELSEWHERE)) + STOP + after, encoding="utf-8")


if __name__ == "__main__":
    main()
