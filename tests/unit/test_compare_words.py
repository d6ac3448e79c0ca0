"""What a report says in words: verdicts, how busy the machine was, shares and columns, so that no reader takes them for more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nanocore.compare.claims import claims
from nanocore.compare.experiment import plan
from nanocore.compare.legend import LEGEND
from nanocore.compare.markdown import markdown
from nanocore.compare.measures import Measures, Point
from nanocore.compare.report import report
from nanocore.compare.results import Comparison, Result, compare
from nanocore.compare.rows import row
from nanocore.compare.sections import sections
from nanocore.compare.spec import Claim
from nanocore.compare.verdicts import verdict
from nanocore.runs import create
from nanocore.runs.layout import RunFolder
from tests.compared import SPEC, built, make, rows


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process of git for each of the many runs."""
    monkeypatch.setattr(create, "git_revision", str)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report of the experiment with all its runs."""
    return built(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def few() -> Any:
    """An experiment at equal steps with one variant besides the power check."""
    return SPEC.model_copy(update={"variants": {"smooth": SPEC.variants["smooth"]}, "equal": ["steps"]})


def smooth_ending_at(bits: dict[int, float]) -> Comparison:
    """Of three seeds whose baselines end at 2.1, 2.2 and 2.3; those that are not named diverged."""

    def ended(variant: str, seed: int, value: float | None) -> Result:
        state = "diverged" if value is None else "finished"
        return Result(f"{variant}-s{seed}", variant, seed, "steps", state, "", bits_per_byte=value, ce=value)

    ends = {1: 2.1, 2: 2.2, 3: 2.3}
    results = [ended("baseline", seed, end) for seed, end in ends.items()]
    return compare([*results, *(ended("smooth", seed, bits.get(seed)) for seed in ends)], "steps", 3)[1]


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        ({1: 900.0, 2: 3.0, 3: 40.0}, "all 3 seeds worse, by far on average, too scattered to test"),
        ({1: 2.0, 2: 3.0, 3: 40.0}, "no difference seen at this scale"),  # better in one seed
        ({1: 2.101, 2: 2.3, 3: 2.301}, "no difference seen at this scale"),  # worse in all, less than the power check
        ({2: 40.0, 3: 3.0}, "all 2 seeds worse, by far on average, too scattered to test (2 of 3 seeds, 1 diverged)"),
        ({2: 40.0}, "far worse in the one pair, no test (1 of 3 seeds, 2 diverged)"),
        ({2: 2.3}, "no verdict from one pair (1 of 3 seeds, 2 diverged)"),
        ({}, "diverged in all 3 seeds"),
        ({1: 2.5, 2: 2.6, 3: 2.71}, "worse"),
    ],
)
def test_what_is_said_of_scattered_and_diverged_seeds(bits: dict[int, float], words: str) -> None:
    found = smooth_ending_at(bits)
    assert verdict(found, has_power=True, far=0.4) == words


@pytest.mark.parametrize(("moved", "word"), [(0.1, "worse"), (-0.1, "better")])
def test_an_interval_that_leaves_out_0_is_told_although_the_correction_takes_the_verdict_away(
    moved: float, word: str
) -> None:
    """Intervals are each variant's own: a reader who sees one above 0 beside "no difference" wants to know why."""
    found = smooth_ending_at({1: 2.1 + moved, 2: 2.21 + moved, 3: 2.3 + moved})
    hint = f"no difference seen at this scale; {word} by its own interval alone"
    assert verdict(replace(found, corrected_p=0.2), has_power=True, far=0.4) == hint
    assert verdict(found, has_power=True, far=0.4) == word


def test_a_wrecked_variant_is_no_difference_not_seen(tmp_path: Path, few: Any) -> None:
    planned = {item.name: item for item in plan(few)}
    for seed, bits in ((1, 900.0), (2, 3.0), (3, 40.0)):
        make(tmp_path, planned[f"known-smooth-s{seed}"], bits=bits)
    found = rows(built(tmp_path, lambda item: item.variant == "smooth", few), "equal_steps")
    assert found["smooth"]["verdict"].startswith("all 3 seeds worse") and found["smooth"]["far_worse"]
    assert not found["power-check"]["far_worse"]


def test_a_share_is_of_the_seconds_that_stand_beside_it() -> None:
    """Of the seeds that got there alone, and of their baselines, however long another baseline took."""

    def ended(variant: str, seed: int, bits: float, seconds: float) -> Result:
        curve = (Point(4, 400, seconds / 2, 4.0), Point(8, 800, seconds, bits))
        known = Measures({}, None, None, None, None, None, curve)
        return Result(
            f"{variant}-s{seed}", variant, seed, "steps", "finished", "", bits_per_byte=bits, ce=bits, measures=known
        )

    base = [ended("baseline", seed, 2.0, seconds) for seed, seconds in ((1, 900.0), (2, 20.0), (3, 40.0))]
    own = [ended("smooth", 1, 3.0, 10.0), ended("smooth", 2, 2.0, 15.0), ended("smooth", 3, 2.0, 20.0)]
    found = row(compare([*base, *own], "steps", 3)[1], True, None, {}, base)["to_baseline"]
    assert (found["reached"], found["seeds"], found["tokens_share"]) == (2, 3, 1.0)
    assert (found["seconds"], found["baseline_seconds"]) == (17.5, 30.0)
    assert found["seconds_share"] == pytest.approx(17.5 / 30)  # not the mean of 15 / 20 and 20 / 40


def ended_on(variant: str, bits: tuple[float, float, float]) -> Result:
    """A run of 8 steps and 12 s, with its held-out measures after steps 2, 4 and 8."""
    places = ((2, 2.0), (4, 4.0), (8, 12.0))
    curve = tuple(Point(step, 100 * step, seconds, one) for (step, seconds), one in zip(places, bits, strict=True))
    known = Measures({}, None, None, None, None, None, curve)
    return Result(variant, variant, 1, "steps", "finished", "", bits_per_byte=bits[-1], ce=bits[-1], measures=known)


def test_a_baseline_whose_loss_was_lower_before_its_end_is_at_100_percent() -> None:
    """Its first way down to the loss counts, as the variant's does: a worse variant is no "-55 % tokens"."""
    base, own = ended_on("baseline", (4.0, 2.0, 3.0)), ended_on("mtp", (4.0, 3.0, 3.5))
    table = [row(one, True, None, {}, [base]) for one in compare([base, own], "steps", 1)]
    found = [each["to_baseline"] for each in table]
    assert [(each["tokens"], each["tokens_share"]) for each in found] == [(300, 1.0), (400, 4 / 3)]
    assert [(each["baseline_tokens"], each["baseline_seconds"]) for each in found] == [(300, 3.0)] * 2
    assert [each["seconds_share"] for each in found] == [1.0, 4 / 3]
    claim = Claim(claim="fewer", source="a paper", scale="7B", measure="tokens_to_baseline")
    spec = SPEC.model_copy(update={"variants": {"mtp": SPEC.variants["mtp"].model_copy(update={"claims": [claim]})}})
    (beside,) = claims(spec, {"steps": table}, busy=False)
    assert beside["measured"] == "+33.3 % tokens to the baseline's loss (1 of 1 seeds)"
    late = ended_on("mtp", (4.0, 3.6, 3.5))
    never = row(compare([base, late], "steps", 1)[1], True, None, {}, [base])["to_baseline"]
    assert (never["reached"], never["tokens_share"], never["baseline_tokens"]) == (0, None, None)


def test_a_busy_machine_is_said_beside_claims_of_time_that_no_calibration_made(whole: dict[str, Any]) -> None:
    measures = ("step_seconds", "backward_seconds", "seconds_to_baseline", "utilisation", "peak_bytes")
    told = [Claim(claim=kind, source="a paper", scale="7B", measure=kind) for kind in measures]  # type: ignore[arg-type]
    spec = SPEC.model_copy(update={"variants": {"mtp": SPEC.variants["mtp"].model_copy(update={"claims": told})}})
    tables = {"steps": whole["equal_steps"], "time": whole["equal_time"]}

    def marked() -> list[bool]:
        return [each["measured"].endswith("; the machine was busy") for each in claims(spec, tables, busy=True)]

    assert marked() == [False, False, True, True, False]
    tables["steps"] = [{**row, "part_ratios_alone": {}} for row in whole["equal_steps"]]  # of the step as a whole alone
    assert marked() == [False, True, True, True, False]


def test_a_busy_machine_is_said_of_the_runs_and_beside_claims_of_time(tmp_path: Path, few: Any) -> None:
    kinds = ("step_seconds", "seconds_to_baseline", "bits_per_byte")
    told = [Claim(claim=kind, source="a paper", scale="7B", measure=kind) for kind in kinds]  # type: ignore[arg-type]
    spec = few.model_copy(update={"variants": {"smooth": few.variants["smooth"].model_copy(update={"claims": told})}})
    free = built(tmp_path, spec=spec)
    assert (free["warnings"], free["load"]["processor_share"]) == ([], pytest.approx(0.9))
    assert "Load: each run had 90% of its processor or more." in markdown(free)
    starved = tmp_path / "known-smooth-s2" / "metrics.jsonl"
    starved.write_text(starved.read_text().replace('"device/utilisation":0.9', '"device/utilisation":0.35'))
    busy = report(spec, tmp_path)
    (warning,) = busy["warnings"]
    assert "1 of 9 runs had less than 80% of the processor" in warning and "(least 35%, known-smooth-s2)" in warning
    assert f"Warning: {warning}." in markdown(busy)
    measured = [each["measured"] for each in busy["claims"]]
    assert [each.endswith("; the machine was busy") for each in measured] == [True, True, False]
    assert not any("busy" in each["measured"] for each in free["claims"])


def test_a_load_average_tells_where_no_share_does(tmp_path: Path, few: Any) -> None:
    built(tmp_path, spec=few)
    machine = {"device": "cpu", "device_name": "a processor", "threads": 2, "cpus": 2, "memory_gib": 23.5}
    for run in tmp_path.iterdir():
        create.update_run(RunFolder(run), machine=machine, load_average=2.1)
    assert report(few, tmp_path)["warnings"] == []
    create.update_run(RunFolder(tmp_path / "known-smooth-s1"), load_average=9.5)
    document = report(few, tmp_path)
    assert (
        "1 of 9 runs began with more work waiting than the machine has CPUs for (load average up to 9.5)"
        in document["warnings"][0]
    )
    text = markdown(document)
    assert "Machine: a processor (cpu), 2 CPUs, 23.5 GiB memory, threads 2." in text
    assert "Load: the load average before a run was at most 9.5." in text


def test_of_a_key_that_is_set_twice_the_last_is_told(whole: dict[str, Any]) -> None:
    twice = {**whole, "sets": ["a.b=1", "c.d=2", "a.b=3"], "seeds": [7]}
    assert "All runs: a.b=3; c.d=2." in markdown(twice) and "; seed 7; 1 thread a run." in markdown(twice)


def test_every_column_has_its_meaning_in_one_place(whole: dict[str, Any]) -> None:
    told = {name for columns in LEGEND.values() for words in columns for name in words.split(", ")}
    shown = {name for section in sections(whole) if not section.words for name in section.headings}
    assert shown - {"variant"} <= told
    page = (Path(__file__).parents[2] / "docs" / "comparisons.md").read_text(encoding="utf-8")
    for title, columns in LEGEND.items():
        lines = page[page.index(f"{title}:\n") :].split("\n\n")[1].splitlines()
        assert lines[2:] == [f"| {column} | {meaning} |" for column, meaning in columns.items()]
