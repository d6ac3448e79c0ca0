"""What FIRE does when the data shifts: python -m tests.bench.data_shift [--seeds 1 2 3] [--steps 400] [--runs DIR] [--out FILE].

For each seed tiny-cpu trains on a small part of Python's standard library, then goes on with all of it: plainly, or with
queries and keys, or all matrices, reinitialised at the first step of the new text. A fresh model of as many steps on the
new text alone stands beside them. Two runs of one thread work side by side; runs that are finished are not made again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nanocore.compare.statistics import paired
from nanocore.runs.create import read_run
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import read_all

OLD_TEXT = [f"{sysconfig.get_path('stdlib')}/[a-c]*.py", f"{sysconfig.get_path('stdlib')}/[a-c]*/*.py"]
OLD = [f"data.sources={json.dumps([{'kind': 'files', 'paths': OLD_TEXT}]).replace(': ', '=')}"]
NEW = ['data.sources=[{kind="stdlib"}]']
AFTER: dict[str, list[str]] = {
    "goes on": [],
    "fire, queries and keys": ["fire.at_step=1"],
    "fire, all matrices": ["fire.at_step=1", 'fire.parameters=["*"]'],
}
COMMON = ["hardware.threads=1", "evaluation.every=100", "evaluation.tokens=65536", "logging.tensorboard=false"]


def train(runs: Path, name: str, steps: int, seed: int, sets: list[str], *, origin: str = "") -> None:
    """One run to its end, unless it has ended well already."""
    if at_the_end(runs / name, steps) is not None:
        return
    start = ["--from", origin] if origin else ["tiny-cpu"]
    pairs = [*COMMON, f"training.steps={steps}", f"training.seed={seed}", *sets]
    options = [part for pair in pairs for part in ("--set", pair)]
    command = [sys.executable, "-m", "nanoconsole", "--runs", str(runs), "train", *start, "--name", name, "--follow"]
    subprocess.run([*command, *options], stdout=subprocess.DEVNULL, check=True)


def curve(run: Path) -> dict[int, float]:
    """Held-out bits per byte by step."""
    records = read_all(RunFolder(run).metrics_file)
    return {record["step"]: record["eval/bits_per_byte"] for record in records if "eval/bits_per_byte" in record}


def at_the_end(run: Path, steps: int) -> float | None:
    return curve(run).get(steps)


def one_seed(runs: Path, seed: int, steps: int) -> None:
    """The old text and the fresh model side by side, then what goes on from the old text, two by two."""
    old = f"shift-old-s{seed}"
    with ThreadPoolExecutor(2) as pool:
        first = [pool.submit(train, runs, old, steps, seed, OLD)]
        first.append(pool.submit(train, runs, f"shift-fresh-s{seed}", steps, seed, NEW))
        for done in first:
            done.result()
        then = [
            pool.submit(train, runs, run_name(variant, seed), steps, seed, [*NEW, *sets], origin=old)
            for variant, sets in AFTER.items()
        ]
        for done in then:
            done.result()


def run_name(variant: str, seed: int) -> str:
    return f"shift-{variant.replace(',', '').replace(' ', '-')}-s{seed}"


def curves(runs: Path, seeds: list[int]) -> dict[str, list[dict[int, float]]]:
    """By what was done after the shift: bits per byte on the new text by step, a curve for each seed."""
    found = {name: [curve(runs / run_name(name, seed)) for seed in seeds] for name in AFTER}
    return found | {"fresh model": [curve(runs / f"shift-fresh-s{seed}") for seed in seeds]}


def table(found: dict[str, list[dict[int, float]]], steps: int) -> str:
    """Markdown: bits per byte on the new text, and the difference from simply going on, paired by seed."""
    marks = [step for step in (100, 200, steps) if step <= steps]
    lines = [f"| after the shift | {' | '.join(f'{mark} steps' for mark in marks)} | less going on, 95 % interval |"]
    lines.append("|---|" + "---|" * (len(marks) + 1))
    base = [one[steps] for one in found["goes on"]]
    for name, seeds in found.items():
        cells = [_mean([one[mark] for one in seeds]) for mark in marks]
        change = paired([one[steps] - other for one, other in zip(seeds, base, strict=True)])
        known = f" ({change.low:+.4f} to {change.high:+.4f})" if change.low is not None else ""
        words = "" if name == "goes on" else f"{change.mean:+.4f}{known}"
        lines.append(f"| {name} | {' | '.join(cells)} | {words} |")
    return "\n".join(lines)


def _machine(runs: Path) -> dict[str, object]:
    """What a run notes of where it was made."""
    facts = read_run(RunFolder(next(runs.glob("shift-fresh-s*"))))
    return {key: facts[key] for key in ("machine", "versions", "git")}


def _mean(values: list[float]) -> str:
    return f"{statistics.fmean(values):.4f} ± {statistics.stdev(values):.4f}" if len(values) > 1 else f"{values[0]:.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--runs", type=Path, default=Path("runs-data-shift"))
    parser.add_argument("--out", type=Path, help="keeps the curves as JSON")
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        one_seed(arguments.runs, seed, arguments.steps)
    found = curves(arguments.runs, arguments.seeds)
    print(table(found, arguments.steps))
    if arguments.out:
        result = {
            **_machine(arguments.runs),
            "seeds": arguments.seeds,
            "steps": arguments.steps,
            "bits_per_byte": found,
        }
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
