"""`bench compare`: two results side by side, and what is no result refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nanoconsole.services.bench_files import beside, origin
from nanocore.bench.results import KINDS, stamped
from nanocore.errors import UsageError
from tests import command_line
from tests.command_line import Nano

nano = command_line.nano


def training(speed: float, *, mode: str = "eager", git: str = "abc") -> dict[str, Any]:
    row = {"model": "plain", "mode": mode, "threads": 1, "tokens_per_second": speed, "step_seconds": 0.5, "mfu": None}
    report = {"machine": {"cpu": "A CPU", "git": git, "versions": {"torch": "2.13.0"}}, "rows": [row]}
    return stamped("train", report, ["nanoconsole", "bench", "train", "--json"])


def written(path: Path, document: object) -> str:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


def test_figures_stand_side_by_side_with_where_they_come_from(nano: Nano, tmp_path: Path) -> None:
    first = written(tmp_path / "a.json", training(100.0))
    second = written(tmp_path / "b.json", training(150.0, git="def\x1b[2J"))
    shown = nano("bench", "compare", first, second)
    assert shown.code == 0, shown.err
    cells = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in shown.out.splitlines()]
    assert ["plain, eager, 1 thread: speed", "100.0", "150.0", "1.500", "tok/s", "more"] in cells
    assert "\x1b" not in shown.out and ["processor", "A CPU", "A CPU"] in cells
    found = nano("bench", "compare", first, second, "--json").data
    assert [each["name"] for each in found["figures"]] == [
        "plain, eager, 1 thread: speed",
        "plain, eager, 1 thread: step",
    ]
    assert found["origins"][0] == {
        "processor": "A CPU", "versions": "torch 2.13.0", "revision": "abc", "command": "nanoconsole bench train --json"
    }  # fmt: skip


def test_a_figure_of_a_gpu_is_not_said_to_be_of_the_processor() -> None:
    document = training(1.0)
    document["machine"]["device"] = {"device": "cuda:0", "device_name": "A GPU"}
    assert origin(document)["processor"] == "A GPU"


def test_what_one_lacks_has_no_ratio() -> None:
    found = beside(training(100.0), training(90.0, mode="compiled"))
    assert [(each.first, each.second, each.ratio) for each in found] == [
        (100.0, None, None), (0.5, None, None), (None, 90.0, None), (None, 0.5, None)
    ]  # fmt: skip


def experiment(*, steps: int, difference: float) -> dict[str, Any]:
    row = {"variant": "mtp", "bits_per_byte": 1.5, "difference": {"mean": difference}, "tokens_per_second": 1000.0,
           "optimizer_bytes": 3 << 20, "peak_bytes": 100 << 20}  # fmt: skip
    parts = {"preset": "tiny-cpu", "steps": steps, "seeds": [1, 2], "threads": 1, "sets": ["a.b=1", "a.b=2"]}
    machines = [{"machine": {"device_name": "A CPU"}, "versions": {}, "git": "abc"}]
    return stamped("compare", {**parts, "machines": machines, "equal_steps": [row], "equal_time": []}, [])


def test_two_experiments_say_how_they_were_trained_and_that_they_differ(nano: Nano, tmp_path: Path) -> None:
    first = written(tmp_path / "a.json", experiment(steps=20, difference=-0.07))
    second = written(tmp_path / "b.json", experiment(steps=10, difference=-0.04))
    shown = nano("bench", "compare", first, second)
    cells = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in shown.out.splitlines() if line]
    assert ["preset", "tiny-cpu", "tiny-cpu"] in cells and ["steps", "20", "10"] in cells
    assert ["seeds", "1, 2", "1, 2"] in cells and ["all runs", "a.b=2", "a.b=2"] in cells
    assert "warning: they are not of the same training: steps 20 and 10;" in shown.err
    difference = next(line for line in cells if line[0].endswith("difference"))
    assert difference[3] == "–"  # a ratio of what may be below 0 says nothing
    assert next(line for line in cells if line[0].endswith("peak"))[1:5] == ["100.0", "100.0", "1.000", "MiB"]
    found = nano("bench", "compare", first, first, "--json").data
    assert found["warnings"] == []


HOSTILE = {
    "": "is not JSON",
    "[" * 100_000: "is not JSON",
    "[]": "is no result",
    '{"bench": ["train"]}': "is no result",
    '{"bench": "train", "schema": 9}': "another version",
    '{"bench": "train", "schema": 1}': "is damaged",
    '{"bench": "train", "schema": 1, "rows": [3]}': "is damaged",
    '{"bench": "memory", "schema": 1, "rows": []}': "one is of bench train, the other of bench memory",
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
    compare = {"equal_steps": [{"variant": "mtp", "bits_per_byte": 1.5, "difference": None, "tokens_per_second": 1, "optimizer_bytes": 2, "peak_bytes": 3}], "equal_time": []}  # fmt: skip
    pair = {"estimated": 4, "measured": None}
    memory = {"rows": [{"technique": "AdamW", "optimizer": pair, "activations": pair, "peak": pair}]}
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
    reports = {"compare": compare, "console": console, "memory": memory, "kernels": kernels, "train": training(1.0)}
    names = {
        kind: [each.name for each in beside(stamped(kind, report, []), stamped(kind, report, []))]
        for kind, report in reports.items()
    }
    assert set(names) == set(KINDS)
    assert names["compare"][0] == "mtp, equal steps: held-out" and len(names["compare"]) == 4
    assert names["console"] == ["first frame", "first frame, of the empty app's"]
    assert names["memory"] == [f"AdamW: {part}, estimated" for part in ("optimizer", "activations", "peak")]
    assert names["kernels"] == ["gemv 8 x 8, 1 token, hot, 1 thread: avx2 t2", "768, decode, 1 thread: ours"]


def test_different_kinds_are_not_compared() -> None:
    with pytest.raises(UsageError, match="compare two of one kind"):
        beside(training(1.0), stamped("memory", {"rows": []}, []))
