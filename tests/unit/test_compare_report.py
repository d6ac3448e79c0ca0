"""The report, from run folders whose measures are known: exact numbers, and nothing that went wrong left blank."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nanocore.compare.experiment import Planned, plan
from nanocore.compare.markdown import markdown
from nanocore.compare.report import report
from nanocore.compare.spec import Spec, Variant
from nanocore.runs import create
from nanocore.runs.create import create_run, update_run
from nanocore.runs.documents import write_document
from nanocore.runs.layout import RunFolder
from nanocore.runs.pace import BASELINE_PACE, OWN_PACE
from nanocore.runs.records import RecordWriter
from nanocore.runs.status import Status

SPEC = Spec(
    preset="tiny-cpu",
    steps=8,
    seeds=[1, 2, 3],
    variants={"mtp": Variant(sets=["mtp.horizon=2"]), "smooth": Variant(sets=["objective.label_smoothing=0.1"])},
    name="known",
)
NOISE = {1: -0.01, 2: 0.0, 3: 0.01}
EFFECT = {"baseline": 0.0, "power-check": 0.4, "mtp": -0.1, "smooth": 0.004}


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process of git for each of the many runs."""
    monkeypatch.setattr(create, "git_revision", str)


def bits_of(item: Planned) -> float:
    noise = 0.0 if item.variant == "baseline" else NOISE[item.seed]
    return 2.0 + 0.1 * item.seed + EFFECT[item.variant] + noise + (0.02 if item.kind == "time" else 0.0)


def make(
    root: Path, item: Planned, *, state: str = "finished", bits: float | None = None, records: int = 8
) -> RunFolder:
    """The folder that a trainer would leave."""
    run = create_run(root, item.config, preset="tiny-cpu", name=item.name)
    update_run(run, machine={"device": "cpu", "device_name": "a processor", "threads": 1})
    metrics = RecordWriter(run.metrics_file)
    slow = 2.0 if item.variant == "mtp" else 1.0
    if item.kind == "calibration":
        return calibrated(run, metrics, state, slow)
    for step in range(1, records + 1):
        seconds = slow * (9.0 if step <= 4 else 0.010 + 0.001 * (step - 6))
        record: dict[str, Any] = {"step": step, "attempt": 1, "tokens": 2048 * step, "elapsed": 0.5 * step}
        record |= {"time/step": seconds, "throughput/tokens_per_sec": 2048 / seconds}
        record |= {"memory/rss_bytes": 3e6 if step == 2 else 2e6, "memory/optimizer_bytes": 1e6 * slow}
        metrics.write(record)
    if state == "finished":
        value = bits_of(item) if bits is None else bits
        metrics.write({"step": records, "attempt": 1, "eval/bits_per_byte": value, "eval/ce": 2 * value})
    metrics.close()
    message = "" if state == "finished" else "because of something"
    write_document(run.status_file, Status(state=state, phase="ended", attempt=1, step=records, message=message))
    return run


def calibrated(run: RunFolder, metrics: RecordWriter, state: str, slow: float) -> RunFolder:
    """The folder of a calibration on a machine that grows slower: the ratios are steady, the times are not."""
    for turn in range(1, 6):
        base = 0.0105 * (1 if turn <= 3 else 7)
        metrics.write({"step": turn, "attempt": 1, BASELINE_PACE: base, OWN_PACE: slow * base})
    metrics.write({"step": 6, "attempt": 1, BASELINE_PACE: 0.0, OWN_PACE: 1.0})  # nothing to divide by: no round
    metrics.close()
    write_document(run.status_file, Status(state=state, phase="ended", attempt=1, step=6))
    return run


def built(root: Path, skip: Callable[[Planned], bool] = lambda _: False) -> dict[str, Any]:
    for item in plan(SPEC):
        if not skip(item):
            make(root, item)
    return report(SPEC, root)


def rows(document: dict[str, Any], table: str) -> dict[str, Any]:
    return {row["variant"]: row for row in document[table]}


def test_the_numbers_are_those_of_the_runs(tmp_path: Path) -> None:
    document = built(tmp_path)
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


def test_p_is_corrected_over_the_variants_without_the_power_check(tmp_path: Path) -> None:
    steps = rows(built(tmp_path), "equal_steps")
    t = 0.1 / (0.01 / math.sqrt(3))
    alone = 1 - t / math.sqrt(2 + t * t)
    assert steps["mtp"]["difference"]["p"] == pytest.approx(alone)
    assert steps["mtp"]["corrected_p"] == pytest.approx(2 * alone)
    assert steps["smooth"]["corrected_p"] == pytest.approx(steps["smooth"]["difference"]["p"])
    assert steps["power-check"]["corrected_p"] is None


def test_cost_is_the_median_after_warm_up_and_memory_the_peak(tmp_path: Path) -> None:
    document = built(tmp_path)
    steps = rows(document, "equal_steps")
    assert steps["baseline"]["step_seconds"] == pytest.approx(0.0105)  # of 9, 10, 11 and 12 ms
    assert steps["mtp"]["step_seconds_alone"] == pytest.approx(0.021)
    assert steps["power-check"]["step_seconds_alone"] is None
    assert (steps["mtp"]["optimizer_bytes"], steps["mtp"]["peak_bytes"], steps["mtp"]["peak_of"]) == (
        2e6,
        3e6,
        "process",
    )
    assert (steps["mtp"]["tokens"], steps["mtp"]["seconds"], steps["mtp"]["steps"]) == (16384, 4.0, 8)
    assert document["variants"]["mtp"] == ["mtp.horizon 0 -> 2"]
    assert len(document["variants"]["power-check"]) == 3
    assert document["machines"][0]["machine"]["device_name"] == "a processor"


def test_a_bad_variant_that_is_not_worse_means_no_power(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EFFECT, "power-check", 0.005)
    document = built(tmp_path)
    assert document["power"] is False
    assert "NO POWER" in markdown(document)
    assert rows(document, "equal_steps")["smooth"]["verdict"] == "no difference seen, but no power to see one"
    assert rows(document, "equal_steps")["mtp"]["verdict"] == "better"


def test_what_failed_diverged_or_is_missing_stands_there(tmp_path: Path) -> None:
    special = {
        "known-mtp-s1": "crashed",
        "known-mtp-s2": "diverged",
        "known-smooth-s3-time": "",
        "known-baseline-s3": "",
    }
    planned = {item.name: item for item in plan(SPEC)}
    for name, state in special.items():
        if state:
            make(tmp_path, planned[name], state=state, records=5)
    document = built(tmp_path, lambda item: item.name in special)
    steps = rows(document, "equal_steps")
    assert (document["complete"], document["power"]) == (False, None)
    assert steps["mtp"]["difference"] is None  # seed 3 has no baseline
    assert steps["mtp"]["verdict"] == "no result"
    assert steps["smooth"]["difference"]["n"] == 2
    assert steps["smooth"]["verdict"] == "no difference seen, power not known (2 of 3 seeds)"
    text = markdown(document)
    assert "NOT COMPLETE" in text
    for line in (
        "- known-mtp-s1: crashed: because of something (step 5 of 8)",
        "- known-mtp-s2: diverged: because of something (step 5 of 8)",
        "- known-smooth-s3-time: it was not made yet",
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


def test_tokens_that_differ_are_said(tmp_path: Path) -> None:
    planned = {item.name: item for item in plan(SPEC)}
    make(tmp_path, planned["known-smooth-s2"], records=6)
    document = built(tmp_path, lambda item: item.name == "known-smooth-s2")
    assert document["warnings"] == ["known-smooth-s2 trained on 12288 tokens, the baseline on 16384"]


def test_markdown_tables_are_whole(tmp_path: Path) -> None:
    lines = markdown(built(tmp_path)).splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert len(tables) == 2 * 6 + 2 * 5
    assert {len(line) for line in tables[:6]} == {len(tables[0])}
    mtp = next(line for line in tables if line.startswith("| mtp"))
    assert "-0.1000" in mtp
    assert mtp.split("|")[-2].strip() == "better"
