"""The report, from run folders whose measures are known: exact numbers, and nothing that went wrong left blank."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from nanocore.compare.claims import NOT_MEASURED
from nanocore.compare.experiment import plan
from nanocore.compare.markdown import markdown
from nanocore.compare.report import report
from nanocore.compare.spec import Claim
from nanocore.runs import create
from tests.compared import EFFECT, NOISE, SPEC, built, make, rows


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process of git for each of the many runs."""
    monkeypatch.setattr(create, "git_revision", str)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report of the experiment with all its runs."""
    return built(tmp_path_factory.mktemp("whole"))


def test_the_numbers_are_those_of_the_runs(whole: dict[str, Any]) -> None:
    document = whole
    assert (document["complete"], document["power"], document["warnings"]) == (True, True, [])
    steps, time = rows(document, "equal_steps"), rows(document, "equal_time")
    assert list(steps) == ["baseline", "power-check", "mtp", "smooth"]
    assert list(time) == ["baseline", "mtp", "smooth"]
    assert steps["baseline"]["bits_per_byte"] == pytest.approx(2.2)
    assert steps["baseline"]["bits_per_byte_deviation"] == pytest.approx(0.1)
    half = 4.302653 * 0.01 / math.sqrt(3)
    for name, mean in (("power-check", 0.4), ("mtp", -0.1), ("smooth", 0.004)):
        found = steps[name]["difference"]
        assert (found["n"], found["mean"]) == (3, pytest.approx(mean))
        assert (found["low"], found["high"]) == (pytest.approx(mean - half), pytest.approx(mean + half))
    assert time["mtp"]["difference"]["mean"] == pytest.approx(-0.08)
    percent = [100 * (EFFECT["mtp"] + NOISE[seed]) / (2.0 + 0.1 * seed) for seed in (1, 2, 3)]
    assert steps["mtp"]["ce_difference_percent"]["mean"] == pytest.approx(sum(percent) / 3)
    assert steps["mtp"]["ce"] == pytest.approx(2 * 2.1)
    assert [steps[name]["verdict"] for name in steps] == ["", "worse", "better", "no difference seen at this scale"]


def test_p_is_corrected_over_the_variants_without_the_power_check(whole: dict[str, Any]) -> None:
    steps = rows(whole, "equal_steps")
    t = 0.1 / (0.01 / math.sqrt(3))
    alone = 1 - t / math.sqrt(2 + t * t)
    assert steps["mtp"]["difference"]["p"] == pytest.approx(alone)
    assert steps["mtp"]["corrected_p"] == pytest.approx(2 * alone)
    assert steps["smooth"]["corrected_p"] == pytest.approx(steps["smooth"]["difference"]["p"])
    assert steps["power-check"]["corrected_p"] is None


def test_cost_is_the_median_after_warm_up_and_memory_the_peak(whole: dict[str, Any]) -> None:
    document = whole
    steps = rows(document, "equal_steps")
    assert steps["baseline"]["step_seconds"] == pytest.approx(0.0105)  # of 9, 10, 11 and 12 ms
    assert steps["mtp"]["step_seconds_alone"] == pytest.approx(0.021)
    assert steps["power-check"]["step_seconds_alone"] is None
    assert (steps["mtp"]["optimizer_bytes"], steps["mtp"]["peak_bytes"], steps["mtp"]["peak_of"]) == (
        2e6,
        3e6,
        "process",
    )
    assert (steps["mtp"]["tokens"], steps["mtp"]["steps"]) == (16384, 8)
    assert steps["mtp"]["seconds"] == pytest.approx(2 * (4 * 9.0 + 0.042))  # of steps, not of the run's clock
    assert document["variants"]["mtp"] == ["mtp.horizon 0 -> 2"]
    assert len(document["variants"]["power-check"]) == 3
    assert document["machines"][0]["machine"]["device_name"] == "a processor"


def test_time_is_split_into_parts_and_what_lies_between_steps(whole: dict[str, Any]) -> None:
    steps = rows(whole, "equal_steps")
    base, mtp = steps["baseline"], steps["mtp"]
    assert base["parts"] == pytest.approx(
        {"data_wait": 1.05e-3, "forward": 4.2e-3, "backward": 3.15e-3, "optimizer": 2.1e-3}
    )
    assert mtp["parts"]["backward"] == pytest.approx(6.3e-3)
    assert base["between_steps_seconds"] == pytest.approx(
        (1.5 - 0.033) / 3
    )  # the clock from step 5 to 8, less the steps after it
    assert (base["data_wait_share"], base["utilisation"]) == (pytest.approx(0.1), pytest.approx(0.9))
    assert (base["gain"], base["kept_fraction"], base["mfu"]) == (pytest.approx(1.08), None, None)


def test_the_way_to_the_baselines_loss_is_read_from_the_curve(whole: dict[str, Any]) -> None:
    steps = {name: row["to_baseline"] for name, row in rows(whole, "equal_steps").items()}
    assert (steps["mtp"]["reached"], steps["mtp"]["seeds"]) == (3, 3)
    assert steps["mtp"]["tokens"] == pytest.approx(2048 * (6 + 2 * 0.9))  # 0.1 below it at the end, 0.9 above before
    assert steps["mtp"]["tokens_share"] == pytest.approx(0.975)
    assert steps["mtp"]["seconds_share"] == pytest.approx((72.038 + 0.9 * 0.046) / 36.042)
    assert (steps["power-check"]["reached"], steps["power-check"]["tokens"]) == (0, None)
    assert steps["smooth"]["reached"] == 1
    assert steps["baseline"]["tokens_share"] == 1.0


def test_claims_stand_beside_what_was_measured(tmp_path: Path) -> None:
    kinds = ("bits_per_byte", "bits_per_byte_at_time", "tokens_to_baseline", "step_seconds", "backward_seconds",
             "matrix_state_bytes", "peak_bytes", "utilisation", "gain")  # fmt: skip
    told = [Claim(claim=f"claim {kind}", source="a paper", scale="7B", measure=kind) for kind in kinds]  # type: ignore[arg-type]
    mtp = SPEC.variants["mtp"].model_copy(update={"claims": told})
    lost = SPEC.variants["smooth"].model_copy(update={"claims": told[2:3]})
    spec = SPEC.model_copy(update={"variants": {"mtp": mtp, "smooth": lost}})
    document = built(tmp_path, spec=spec)
    percent = rows(document, "equal_steps")["mtp"]["ce_difference_percent"]
    interval = f"[{percent['low']:+.2f}, {percent['high']:+.2f}]"
    assert [each["measured"] for each in document["claims"] if each["variant"] == "mtp"] == [
        f"held-out loss {percent['mean']:+.2f} % {interval}: better",
        document["claims"][1]["measured"],
        "-2.5 % tokens to the baseline's loss (3 of 3 seeds)",
        "step time +100.0 % [+100.0, +100.0]",
        "backward time +60.0 %",  # by the calibration, not by the runs side by side
        "state of the matrices -74.6 %",
        "peak memory +0.0 %",
        "device utilisation 90.0%, baseline 90.0%",
        "largest composite gain 1.080, baseline 1.080",
    ]
    assert document["claims"][1]["measured"].startswith("held-out loss ")
    assert document["claims"][1]["measured"] != document["claims"][0]["measured"]
    text = markdown(document)
    assert "| mtp     | claim gain" in text and "neither confirmed nor refuted" in text
    nothing = report(spec, tmp_path / "empty")
    assert {each["measured"] for each in nothing["claims"]} == {NOT_MEASURED}


def test_who_never_gets_there_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EFFECT, "mtp", 0.2)
    claim = Claim(claim="faster", source="a paper", scale="7B", measure="tokens_to_baseline")
    part = SPEC.variants["mtp"].model_copy(update={"claims": [claim]})
    document = built(
        tmp_path, spec=SPEC.model_copy(update={"variants": {"mtp": part}, "equal": ["steps"], "seeds": [2]})
    )
    assert document["claims"][0]["measured"] == "never came to the baseline's loss (0 of 1 seeds)"


def test_a_time_of_runs_side_by_side_is_told_as_such(tmp_path: Path) -> None:
    claim = Claim(claim="slower", source="a paper", scale="7B", measure="step_seconds")
    part = SPEC.variants["mtp"].model_copy(update={"claims": [claim]})
    spec = SPEC.model_copy(update={"variants": {"mtp": part}, "equal": ["steps"], "seeds": [2]})
    assert built(tmp_path, spec=spec)["claims"][0]["measured"].startswith("step time side by side +")


def test_runs_at_equal_steps_stand_for_those_at_equal_time_where_time_is_the_same(tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"time_tolerance": 0.03})
    document = built(tmp_path, lambda item: item.variant == "smooth" and item.kind == "time", spec)
    steps, time = rows(document, "equal_steps"), rows(document, "equal_time")
    assert document["complete"] is True
    assert time["smooth"]["as_at_steps"] and not time["mtp"]["as_at_steps"] and not steps["smooth"]["as_at_steps"]
    assert time["smooth"]["difference"]["mean"] == pytest.approx(0.004)
    text = markdown(document)
    assert "| smooth †" in text and "within 3 %" in text and "Runs without a result" not in text
    told = {run["stands_for"]: run["run"] for run in document["runs"] if run["stands_for"]}
    assert told == {f"known-smooth-s{seed}-time": f"known-smooth-s{seed}" for seed in (1, 2, 3)}
    strict = report(SPEC, tmp_path)
    assert strict["complete"] is False and rows(strict, "equal_time")["smooth"]["verdict"] == "no result"


def test_a_bad_variant_that_is_not_worse_means_no_power(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EFFECT, "power-check", 0.005)
    document = built(tmp_path)
    assert document["power"] is False
    assert "NO POWER" in markdown(document)
    assert rows(document, "equal_steps")["power-check"]["verdict"] == "did not come out worse"
    assert rows(document, "equal_steps")["smooth"]["verdict"] == "no difference seen, but no power to see one"
    assert rows(document, "equal_steps")["mtp"]["verdict"] == "better"


def test_what_failed_diverged_or_is_missing_stands_there(tmp_path: Path) -> None:
    special = {
        "known-mtp-s1": "crashed",
        "known-mtp-s2": "diverged",
        "known-smooth-s3-time": "",
        "known-baseline-s3": "",
        "known-mtp-s3-time": "created",
    }
    planned = {item.name: item for item in plan(SPEC)}
    create.create_run(tmp_path, planned["known-mtp-s3-time"].config, name="known-mtp-s3-time")
    for name, state in special.items():
        if state in ("crashed", "diverged"):
            make(tmp_path, planned[name], state=state, records=5)
    document = built(tmp_path, lambda item: item.name in special)
    steps = rows(document, "equal_steps")
    assert (document["complete"], document["power"]) == (False, None)
    words = "2 of 3 runs of baseline and 3 of 3 runs of power-check finished, and all are needed"
    assert document["power_words"] == f"not known: {words}"
    assert steps["mtp"]["difference"] is None  # seed 3 has no baseline
    assert steps["mtp"]["verdict"] == "no result (1 of 3 seeds diverged)"
    assert steps["smooth"]["difference"]["n"] == 2
    assert steps["smooth"]["verdict"] == "no difference seen, power not known (2 of 3 seeds)"
    text = markdown(document)
    assert "NOT COMPLETE" in text
    for line in (
        "- known-mtp-s1: crashed: because of something (step 5 of 8)",
        "- known-mtp-s2: diverged: because of something (step 5 of 8)",
        "- known-smooth-s3-time: it was not made yet",
        "- known-mtp-s3-time: created, never started; how long it is to be comes from known-mtp-calibration",
        "- known-baseline-s3: it was not made yet",
    ):
        assert line in text.splitlines()
    assert "| 1 of 3 " in text
    json.dumps(document, allow_nan=False)


def test_a_held_out_loss_that_is_not_finite_is_no_result(tmp_path: Path) -> None:
    planned = {item.name: item for item in plan(SPEC)}
    make(tmp_path, planned["known-mtp-s1"], bits=math.nan)
    document = built(tmp_path, lambda item: item.name == "known-mtp-s1")
    assert rows(document, "equal_steps")["mtp"]["difference"]["n"] == 2
    assert "- known-mtp-s1: finished without a finite held-out loss" in markdown(document)


def test_an_empty_experiment_and_a_single_seed_say_so(tmp_path: Path) -> None:
    document = report(SPEC, tmp_path)
    assert {row["verdict"] for row in document["equal_steps"]} == {"", "no result"}
    assert len(document["runs"]) == len(plan(SPEC))
    single = SPEC.model_copy(update={"seeds": [1]})
    for item in plan(single):
        make(tmp_path, item)
    found = rows(report(single, tmp_path), "equal_steps")
    assert found["mtp"]["verdict"] == "no verdict from one pair"
    assert found["mtp"]["difference"]["low"] is None
    assert report(single, tmp_path)["power_words"].endswith("needs two seeds or more")


def test_tokens_that_differ_are_said(tmp_path: Path) -> None:
    planned = {item.name: item for item in plan(SPEC)}
    make(tmp_path, planned["known-smooth-s2"], records=6)
    document = built(tmp_path, lambda item: item.name == "known-smooth-s2")
    assert document["warnings"] == ["known-smooth-s2 trained on 12288 tokens, the baseline on 16384"]


def test_markdown_tables_are_whole(whole: dict[str, Any]) -> None:
    lines = markdown(whole).splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert len(tables) == 4 * 6 + 4 * 5  # of each kind: quality, cost, time, the way to the baseline's loss
    assert {len(line) for line in tables[:6]} == {len(tables[0])}
    mtp = next(line for line in tables if line.startswith("| mtp"))
    assert "-0.1000" in mtp
    assert mtp.split("|")[-2].strip() == "better"
