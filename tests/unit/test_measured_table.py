"""The table of measured gains in docs/techniques.md is made from the committed reports, and leaves nothing out."""

from __future__ import annotations

from nanocore.compare.spec import read
from tests.bench.measured import BASELINES, ELSEWHERE, PAGE, RESULTS, ROWS, START, STOP, read_results, table

DOCUMENT = {
    "equal_steps": [
        {
            "variant": "baseline", "finished": 3, "seeds": 3, "step_seconds_alone": 0.4, "optimizer_bytes": 5 << 20, "peak_bytes": 674 << 20,
            "ce": 3.7368, "ce_deviation": 0.0253, "bits_per_byte": 1.66098,
        },
        {
            "variant": "int8", "finished": 3, "seeds": 3, "step_seconds_alone": 0.44, "optimizer_bytes": 3 << 20, "peak_bytes": 700 << 20,
            "ce_difference_percent": {"mean": -0.07, "low": -0.76, "high": 0.62}, "verdict": "no difference",
        },
    ],
    "equal_time": [
        {
            "variant": "int8", "finished": 2, "seeds": 3, "verdict": "worse",
            "ce_difference_percent": {"mean": 1.9, "low": None, "high": None},
        },
    ],
    "runs": [
        {"kind": "steps", "variant": "baseline", "seed": 1, "ce": 4.0}, {"kind": "steps", "variant": "int8", "seed": 1, "ce": 4.04},
        {"kind": "steps", "variant": "baseline", "seed": 2, "ce": 4.0}, {"kind": "steps", "variant": "int8", "seed": 2, "ce": 4.08},
        {"kind": "steps", "variant": "int8", "seed": 3, "ce": 4.0}, {"kind": "time", "variant": "int8", "seed": 1, "ce": 9.0},
    ],
}  # fmt: skip


def test_the_page_holds_the_table_of_the_committed_reports() -> None:
    shown = PAGE.read_text("utf-8").partition(START)[2].partition(STOP)[0]
    assert shown == table(read_results(), read_results(ELSEWHERE))


def test_a_row_tells_cost_gain_missing_seeds_and_verdicts() -> None:
    lines = table({"optimizer": DOCUMENT}, {"optimizer": DOCUMENT}).splitlines()
    row = next(line for line in lines if "optimizer: int8 " in line)
    said = [cell.strip() for cell in row.strip("|").split("|")][2:]
    assert said == [
        "1.10",
        "3.00 MiB",
        "700 MiB",
        "-0.07 [-0.76, +0.62]",
        "+1.90 (2 of 3 seeds)",
        "steps: no difference / time: worse",
        "-0.07 [-0.76, +0.62]; mean of both: +1.50 [-4.85, +7.85]",
    ]
    assert "not measured yet" in next(line for line in lines if "model: loop-2 " in line)


def test_the_baselines_come_first_with_what_they_reached_themselves() -> None:
    one = {"variant": "baseline", "finished": 1, "seeds": 3, "ce": 3.5, "ce_deviation": None, "bits_per_byte": 1.5}
    lines = table({"optimizer": DOCUMENT}, {"optimizer": {"equal_steps": [one]}}).splitlines()
    assert [line.count("|") for line in lines[:3]] == [10] * 3
    assert lines[2] == (
        "| Baseline of optimizer, model, recipe, 8-bit, galore, filter and fp4 | optimizer: baseline | 1.00 | 5.00 MiB | 674 MiB "
        "| 3.737 ± 0.025, 1.661 bits per byte | the same runs | – | 3.500, 1.500 bits per byte (1 of 3 seeds) |"
    )
    assert lines[3].startswith("| Multi-token")  # no report of objective: no baseline of it
    both = table({"optimizer": DOCUMENT, "objective": {"equal_steps": [one]}}, {}).splitlines()
    assert both[2].startswith(
        "| Baseline of objective | objective: baseline | 1.00 | – | – | 3.500, 1.500 bits per byte"
    )
    assert [line.split(" | ")[6:] for line in both[2:4]] == [["–", "–", "– |"], ["the same runs", "–", "– |"]]


def test_the_baselines_of_the_page_are_those_that_the_experiments_name() -> None:
    files = {path.stem: read(path) for path in sorted(RESULTS.parent.glob("*.toml"))}
    assert set(BASELINES.values()) <= set(files)
    assert all(any(name in row.replace(",", "").split() for row in BASELINES) for name in files)


def test_every_variant_of_the_experiments_has_a_row() -> None:
    files = {path.stem: read(path) for path in sorted(RESULTS.parent.glob("*.toml"))}
    named = {(name, variant) for name, spec in files.items() for variant in spec.variants}
    only_time = {("cost", variant) for _, variant in ROWS.values()}  # the cell of a row of another experiment
    assert named - only_time <= set(ROWS.values())
    assert set(ROWS.values()) - named == {("optimizer", "power-check")}
