"""Reports of experiments that are half done, or whose runs are damaged: nothing is claimed that they do not hold."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from nanocore.compare.load import busy, load
from nanocore.compare.markdown import markdown
from nanocore.compare.report import report
from nanocore.compare.results import Comparison, Result, compare, stand_in
from nanocore.compare.statistics import paired
from nanocore.compare.verdicts import power, power_words, verdict
from nanocore.runs import create
from nanocore.runs.layout import RunFolder
from nanocore.runs.pace import StepTimes
from tests.compared import SPEC, built, rows

SEEDS = (1, 2, 3)
GAINS = {"mtp": (-0.1, -0.101, -0.102), "smooth": (0.0, 0.1, -0.1), "slow": (0.2, 0.3, 0.1)}


def ended(variant: str, seed: int, bits: float | None, state: str = "finished") -> Result:
    return Result(f"{variant}-s{seed}", variant, seed, "steps", state, "", bits_per_byte=bits, ce=bits)


def compared(*variants: tuple[str, tuple[float | None, ...]], state: str = "running") -> list[Comparison]:
    """At equal steps: baselines that end at 2, and variants that end so far from it, or not."""
    found = [("baseline", (0.0, 0.0, 0.0)), *variants]
    results = [
        ended(name, seed, None, state) if change is None else ended(name, seed, 2.0 + change)
        for name, changes in found
        for seed, change in zip(SEEDS, changes, strict=True)
    ]
    return compare(results, "steps", len(SEEDS))


def test_a_part_of_an_experiment_is_corrected_by_all_its_variants() -> None:
    """Else what is better in a partial report is no longer in the whole one, of the same runs."""
    none = (None, None, None)
    parts = ([("mtp", GAINS["mtp"]), ("smooth", none), ("slow", (0.2, None, None))], [*GAINS.items()])
    alone = paired(GAINS["mtp"]).p
    for variants in parts:
        found = {one.variant: one for one in compared(("power-check", (0.4, 0.41, 0.4)), *variants)}
        assert alone is not None and found["mtp"].corrected_p == pytest.approx(3 * alone)
        assert found["power-check"].corrected_p is None
    first = {one.variant: one for one in compared(*parts[0])}
    assert first["smooth"].corrected_p is None and first["slow"].corrected_p is None


@pytest.mark.parametrize(
    ("check", "state", "words"),
    [
        ((0.4, 0.41, None), "diverged", "2 of 3 runs of power-check (1 diverged)"),
        ((None, 0.41, None), "running", "1 of 3 runs of power-check"),
    ],
)
def test_what_the_power_check_lacks_is_told(check: tuple[float | None, ...], state: str, words: str) -> None:
    found = compared(("power-check", check), state=state)
    assert power(found) is None
    assert power_words(found) == f"not known: 3 of 3 runs of baseline and {words} finished, and all are needed"


def test_a_power_check_that_did_not_come_out_worse_has_words_of_its_own() -> None:
    """That no difference was seen would say that a difference of its size would have been."""
    found = compared(("power-check", (0.1, -0.1, 0.0)))
    assert (power(found), power_words(found).partition(":")[0]) == (False, "NO POWER")
    assert verdict(found[1], has_power=False, far=None) == "did not come out worse"
    fewer = compared(("power-check", (0.1, -0.1, None)))[1]
    assert verdict(fewer, has_power=None, far=None) == "did not come out worse (2 of 3 seeds)"


def test_a_run_that_stands_for_another_is_counted_once() -> None:
    machine = {"device": "cpu", "threads": 2, "cpus": 2}
    run = dataclasses.replace(ended("smooth", 1, 2.0), facts={"machine": machine, "load_average": 9.5})
    stand_in = dataclasses.replace(run, kind="time", stands_for="smooth-s1-time")
    found = load([run, stand_in])
    assert (found["runs"], found["crowded"], found["starved"]) == (1, 1, 0)
    assert "1 of 1 runs began with more work waiting" in busy(found)[0]


@pytest.mark.parametrize(("step", "run"), [(0, "smooth-s1"), (5, "smooth-s1-time")], ids=["not begun", "begun"])
def test_a_run_at_equal_time_that_has_begun_is_not_replaced(step: int, run: str) -> None:
    same = StepTimes(baseline=0.1, ratio=1.0, low=1.0, high=1.0)
    calibration = Result("smooth-calibration", "smooth", 0, "calibration", "finished", "", times=same)
    at_time = Result("smooth-s1-time", "smooth", 1, "time", "crashed", "", step=step)
    found = stand_in([calibration, ended("smooth", 1, 2.0), at_time], tolerance=0.03)
    assert [one.run for one in found if one.kind == "time"] == [run]


@pytest.mark.parametrize("damage", ["a processor", ["a processor"], 3, None])
def test_a_run_json_of_another_shape_costs_its_facts_alone(tmp_path: Path, damage: object) -> None:
    spec = SPEC.model_copy(update={"variants": {"smooth": SPEC.variants["smooth"]}, "equal": ["steps"], "seeds": [1]})
    whole = built(tmp_path, spec=spec)
    create.update_run(
        RunFolder(tmp_path / "known-smooth-s1"), machine=damage, optimizer_state=damage, load_average=damage
    )
    create.update_run(RunFolder(tmp_path / "known-baseline-s1"), versions=damage, git=damage)
    document = report(spec, tmp_path)
    smooth = rows(document, "equal_steps")["smooth"]
    assert (smooth["bits_per_byte"], smooth["matrix_state_bytes"]) == (
        rows(whole, "equal_steps")["smooth"]["bits_per_byte"],
        None,
    )
    versions = sorted((one["versions"] for one in document["machines"]), key=len)
    assert versions == [{}, whole["machines"][0]["versions"]]
    assert "Machine: a processor (cpu), threads 1. Versions: unknown. Revision:" in markdown(document)
