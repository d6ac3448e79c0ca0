"""`bench compare`: two results side by side, and what is no result refused in one line."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from nanoconsole.cli import bench_compare
from nanoconsole.services.bench_files import beside, different, origin
from nanocore.bench.results import KINDS, stamped
from nanocore.errors import UsageError
from tests import command_line
from tests.command_line import Nano

nano = command_line.nano


SPLIT = {"data_wait": 0.001, "forward": 0.2, "backward": 0.25, "optimizer": 0.049}
TRAINED = ["speed", "step", "data wait", "forward", "backward", "optimizer"]


def training(speed: float, *, mode: str = "eager", git: str = "abc", **others: Any) -> dict[str, Any]:
    row = {"model": "plain", "mode": mode, "threads": 1, "tokens_per_second": speed, "step_seconds": 0.5, "parts": SPLIT,
           "against_plain": None, "mfu": None}  # fmt: skip
    report = {"machine": {"cpu": "A CPU", "git": git, "versions": {"torch": "2.13.0"}}, "rows": [row]}
    asked = {"preset": "tiny-cpu", "sets": [], "rounds": 5} | others
    return stamped("train", report | asked, ["nanoconsole", "bench", "train", "--json"])


def written(path: Path, document: object) -> str:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


def test_figures_stand_side_by_side_with_where_they_come_from(nano: Nano, tmp_path: Path) -> None:
    first = written(tmp_path / "a.json", training(100.0))
    second = written(tmp_path / "b.json", training(150.0, git="def\x1b[2J"))
    shown = nano("bench", "compare", first, second)
    assert shown.code == 0, shown.err
    cells = lines(shown)
    assert ["plain, eager, 1 thread: speed", "100.0", "150.0", "1.500", "tok/s", "more"] in cells
    assert ["plain, eager, 1 thread: backward", "250.0", "250.0", "1.000", "ms", "less"] in cells
    assert "\x1b" not in shown.out and ["processor", "A CPU", "A CPU"] in cells
    assert ["preset", "tiny-cpu", "tiny-cpu"] in cells and "warning" not in shown.err
    found = nano("bench", "compare", first, second, "--json").data
    assert [each["name"] for each in found["figures"]] == [f"plain, eager, 1 thread: {part}" for part in TRAINED]
    assert (found["verdicts"], found["warnings"]) == ([], [])
    assert found["origins"][0] == {
        "preset": "tiny-cpu", "overrides": "", "rounds": "5",
        "processor": "A CPU", "computed in": "", "versions": "torch 2.13.0", "revision": "abc", "command": "nanoconsole bench train --json"
    }  # fmt: skip


def lines(shown: command_line.Result) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in shown.out.splitlines() if line]


def memory(**asked: Any) -> dict[str, Any]:
    pair = {"estimated": 4 << 20, "measured": None}
    row = {"technique": "AdamW", "matrix_state_bytes": 2 << 20, "matrix_state_share": 2.0, "optimizer": pair,
           "activations": pair, "peak": pair}  # fmt: skip
    return stamped("memory", {"preset": "tiny-cpu", "sets": [], "rows": [row], "machine": {}} | asked, [])


SCALE = {"rounds": 5, "records": 1_000_000}
UNLIKE = [
    (training(1.0), training(1.0, preset="d20"), "preset tiny-cpu and d20"),
    (training(1.0), training(1.0, sets=["a.b=1", "a.b=2"]), "overrides none and a.b=2"),
    (training(1.0), training(1.0, rounds=1), "rounds 5 and 1"),
    (memory(), memory(preset="d20", sets=["a.b=1"]), "preset tiny-cpu and d20, overrides none and a.b=1"),
    (stamped("kernels", {"quick": True}, []), stamped("kernels", {"quick": False}, []), "effort quick and full"),
    (
        stamped("console", {"scale": SCALE, "rows": []}, []),
        stamped("console", {"scale": SCALE | {"rounds": 1}, "rows": []}, []),
        "scale rounds 5, records 1000000 and rounds 1, records 1000000",
    ),
]


@pytest.mark.parametrize("first, second, told", UNLIKE, ids=lambda each: each if isinstance(each, str) else "")
def test_results_that_did_not_measure_the_same_are_warned_of(
    first: dict[str, Any], second: dict[str, Any], told: str
) -> None:
    assert different(first, second) == [f"they are not measured alike: {told}; the figures do not compare"]
    assert different(first, first) == [] == different(second, second)


def test_another_precision_and_an_unfinished_experiment_are_warned_of() -> None:
    one, other = training(1.0), training(1.0)
    one["machine"]["device"], other["machine"]["device"] = {"dtype": "float32"}, {"dtype": "bfloat16"}
    assert different(one, other) == ["A was computed in float32, B in bfloat16"] and different(one, one) == []
    assert origin(one)["computed in"] == "float32"
    unfinished = experiment(steps=20, difference=-0.07) | {"complete": False}
    assert different(experiment(steps=20, difference=-0.07), unfinished) == [
        "B is the report of an experiment that was not complete"
    ]


def test_the_order_of_overrides_is_no_difference() -> None:
    sets = ["a.b=1", "c.d=2"]
    assert different(training(1.0, sets=sets), training(1.0, sets=sets[::-1])) == []


def test_a_figure_of_a_gpu_is_not_said_to_be_of_the_processor() -> None:
    document = training(1.0)
    document["machine"]["device"] = {"device": "cuda:0", "device_name": "A GPU"}
    assert origin(document)["processor"] == "A GPU"


def test_what_one_lacks_has_no_ratio() -> None:
    found = beside(training(100.0), training(90.0, mode="compiled"))
    assert [(each.first, each.second, each.ratio) for each in found if each.name.endswith(("speed", "step"))] == [
        (100.0, None, None), (500.0, None, None), (None, 90.0, None), (None, 500.0, None)
    ]  # fmt: skip


def compared(difference: float) -> dict[str, Any]:
    paired = {"mean": difference, "low": difference - 0.01, "high": difference + 0.01, "p": 0.5}
    return {"variant": "mtp", "bits_per_byte": 1.5, "difference": paired, "corrected_p": 0.04, "ce": 3.5, "verdict": "better",
            "seconds": 250.0, "tokens_per_second": 1000.0, "step_seconds": 0.5, "step_seconds_alone": 0.4,
            "step_ratio_alone": {"ratio": 1.25, "low": 1.2, "high": 1.3}, "parts": SPLIT, "between_steps_seconds": 0.01,
            "optimizer_bytes": 3 << 20, "matrix_state_bytes": 2 << 20, "peak_bytes": 100 << 20}  # fmt: skip


def experiment(*, steps: int, difference: float) -> dict[str, Any]:
    row = compared(difference)
    parts = {"preset": "tiny-cpu", "steps": steps, "seeds": [1, 2], "threads": 1, "sets": ["a.b=1", "a.b=2"]}
    machines = [{"machine": {"device_name": "A CPU"}, "versions": {}, "git": "abc"}]
    return stamped("compare", {**parts, "machines": machines, "equal_steps": [row], "equal_time": []}, [])


def test_two_experiments_say_how_they_were_trained_and_that_they_differ(nano: Nano, tmp_path: Path) -> None:
    first = written(tmp_path / "a.json", experiment(steps=20, difference=-0.07))
    second = written(tmp_path / "b.json", experiment(steps=10, difference=-0.04))
    shown = nano("bench", "compare", first, second)
    cells = lines(shown)
    assert ["preset", "tiny-cpu", "tiny-cpu"] in cells and ["steps", "20", "10"] in cells
    assert ["seeds", "1, 2", "1, 2"] in cells and ["all runs", "a.b=2", "a.b=2"] in cells
    assert "warning: they are not of the same training: steps 20 and 10;" in shown.err
    difference = next(line for line in cells if line[0].endswith("difference"))
    assert difference[3] == "–"  # a ratio of what may be below 0 says nothing
    assert next(line for line in cells if line[0].endswith("peak"))[1:5] == ["100.0", "100.0", "1.000", "MiB"]
    found = nano("bench", "compare", first, first, "--json").data
    assert found["warnings"] == []
    assert found["verdicts"] == [{"name": "mtp, equal steps", "first": "better", "second": "better"}]


def test_a_terminal_of_80_columns_shows_every_line_whole(
    nano: Nano, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_compare, "terminal_width", lambda: 80)
    first = written(tmp_path / "a.json", experiment(steps=20, difference=-0.07))
    second = written(tmp_path / "b.json", experiment(steps=10, difference=-0.04) | {"sets": ["a.key=1"] * 20})
    shown = nano("bench", "compare", first, second).out.splitlines()
    assert max(map(len, shown)) <= 80
    assert "preset, A and B: tiny-cpu" in shown and "steps, A: 20" in shown and "       B: 10" in shown
    place = shown.index("mtp, equal steps")  # once above its figures
    assert shown[place + 1].split() == ["figure", "A", "B", "B", "/", "A", "unit", "better"]
    assert any(line.startswith("peak ") for line in shown[place:])
    assert shown[-1] == "mtp, equal steps, A and B: better"


def test_an_experiment_with_its_interval_p_verdict_and_where_the_time_goes(nano: Nano, tmp_path: Path) -> None:
    first = written(tmp_path / "a.json", experiment(steps=20, difference=-0.07))
    cells = {
        line[0].removeprefix("mtp, equal steps: "): line[1:] for line in lines(nano("bench", "compare", first, first))
    }
    assert cells["difference, 95 % from"][:3] == ["-0.08000", "-0.08000", "–"]
    assert cells["difference, 95 % to"][:3] == ["-0.06000", "-0.06000", "–"]
    assert cells["p"] == ["0.04000", "0.04000", "–", "–", "–"]  # corrected; no ratio, no unit, no direction
    assert cells["step alone, x baseline"][:3] == ["1.250", "1.250", "1.000"]
    assert (cells["optimizer"][3], cells["optimizer state"][3]) == ("ms", "MiB")
    assert cells["between steps"][:1] == ["10.00"] and cells["mtp, equal steps"] == ["better", "better"]


def test_an_experiment_on_several_machines_tells_all_of_them() -> None:
    document = experiment(steps=20, difference=0.0)
    document["machines"] += [
        {"machine": {"device_name": "A GPU"}, "versions": {"torch": "2.13.0"}, "git": "def"},
        {"machine": {"device_name": "A CPU"}, "versions": {"torch": "2.13.0"}, "git": "abc"},
    ]
    found = origin(document)
    assert (found["processor"], found["revision"]) == ("A CPU; A GPU", "abc; def")
    assert found["versions"] == "torch 2.13.0"


HOSTILE = {
    "": "is not JSON",
    "[" * 100_000: "is not JSON",
    "[]": "is no result",
    '{"bench": ["train"]}': "is no result",
    '{"bench": "train", "schema": 9}': "another version",
    '{"bench": "train", "schema": 1}': "B is damaged: rows is missing; measure it again",
    '{"bench": "train", "schema": 1, "rows": [3]}': "B is damaged: a value in it is not of the form",
    json.dumps(training(math.nan)): "damaged: plain, eager, 1 thread: speed: nan is no measurement",
    json.dumps(training(1.0)).replace("1.0", "1e999"): "inf is no measurement",
    json.dumps(training(10**400)): "damaged: a number in it is too large",
    '{"bench": "memory", "schema": 1, "rows": []}': "A is of bench train, B of bench memory",
}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_cannot_be_compared_is_refused(nano: Nano, tmp_path: Path, text: str) -> None:
    good, bad = written(tmp_path / "a.json", training(1.0)), written(tmp_path / "b.json", text)
    refused = nano("bench", "compare", good, bad)
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert HOSTILE[text] in refused.err
    assert nano("bench", "compare", good, str(tmp_path / "none.json")).code == 2
    assert nano("bench", "compare", good, str(tmp_path)).code == 2


def test_every_kind_names_its_figures() -> None:
    alone = compared(0.0) | {
        "difference": None,
        "corrected_p": None,
        "step_seconds_alone": None,
        "step_ratio_alone": None,
    }
    compare = {"equal_steps": [alone], "equal_time": []}
    race = {
        "rows": 8,
        "columns": 8,
        "tokens": 1,
        "data": "hot",
        "threads": 1,
        "results": [{"path": "avx2", "weights": "t2", "gops": 5.0}],
    }
    side = {"work": "decode", "threads": 1, "sides": {"ours": {"tokens_per_second": 7.0}}}
    kernels = {"gemv": [race], "end_to_end": {"models": [{"name": "768", "results": [side]}]}}
    console = {"rows": [{"figure": "first frame", "value": 700.0, "unit": "ms", "empty_app": 350.0, "ratio": 2.0}]}
    reports = {"compare": compare, "console": console, "memory": memory(), "kernels": kernels, "train": training(1.0)}
    names = {
        kind: [each.name for each in beside(stamped(kind, report, []), stamped(kind, report, []))]
        for kind, report in reports.items()
    }
    assert set(names) == set(KINDS)
    figures = ["held-out", "CE", "training", *TRAINED, "between steps", "optimizer state", "matrix state", "peak"]
    assert names["compare"] == [f"mtp, equal steps: {each}" for each in figures]
    assert names["console"] == ["first frame", "first frame, of the empty app's"]
    estimated = [f"{part}, estimated" for part in ("optimizer", "activations", "peak")]
    assert names["memory"] == [f"AdamW: {each}" for each in ("matrix state", "matrix state, share", *estimated)]
    assert names["kernels"] == ["gemv 8 x 8, 1 token, hot, 1 thread: avx2 t2", "768, decode, 1 thread: ours"]


def test_different_kinds_are_not_compared() -> None:
    with pytest.raises(UsageError, match="compare two of one kind"):
        beside(training(1.0), stamped("memory", {"rows": []}, []))
