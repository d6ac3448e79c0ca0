"""What the verbs of `bench` print and keep: what was measured stands where its heading says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from nanoconsole.bench import console
from nanoconsole.bench.console import Row
from nanoconsole.bench.setting import Bench
from nanoconsole.cli import bench, bench_console, bench_result
from tests import command_line
from tests.command_line import Nano

nano = command_line.nano


def result(path: str, weights: str, gops: float, share: float | None) -> dict[str, Any]:
    return {"path": path, "weights": weights, "gops": gops, "share": share}


def race(data: str, threads: int, gops: float) -> dict[str, Any]:
    unpacking = {"avx2 t5": 300.0} if data == "hot" else {}
    limits = {"memory": {"t2": 800.0, "t5": 1000.0}, "arithmetic": {"avx2": 400.0}, "unpacking": unpacking}
    results = [result("avx2", "t2", gops, gops / 400), result("linear", "float32", 13.0, None)]
    shape = {"rows": 2048, "columns": 512, "tokens": 1, "data": data, "threads": threads}
    return {**shape, "limits": limits, "results": results}


def model(**sides: float) -> dict[str, Any]:
    rates = {name.replace("_", "."): {"tokens_per_second": rate} for name, rate in sides.items()}
    row = {"threads": 1, "work": "decode", "sides": rates, "ratio": 3.25 if len(sides) > 1 else None}
    missing = "" if len(sides) > 1 else "not run: llama-cpp-python is not installed"
    return {"name": "768 x 16 layers", "llama_cpp": missing, "results": [row]}


REPORT: dict[str, Any] = {
    "machine": {
        "cpu": "A CPU",
        "cpus": 2,
        "cache_bytes": 32 << 20,
        "active_path": "avx2",
        "versions": {"torch": "2.13.0", "llama-cpp-python": None},
        "load_average": 2.5,
    },
    "warnings": ["the load average was 2.5"],
    "left_out": {"reference": "slow"},
    "limits": {
        "skipped": "",
        "measured": [
            {"threads": 1, "read": [{"bytes": 32 << 10, "gbps": 101.0}], "dot": [{"path": "avx2", "gops": 401.0}]},
            {"threads": 2, "read": [{"bytes": 32 << 10, "gbps": 202.0}], "dot": [{"path": "avx2", "gops": 802.0}]},
        ],
    },
    "gemv": [race("hot", 1, 273.0), race("cold", 1, 266.0)],
    "gemm": [],
    "end_to_end": {"skipped": "", "prompt": 256, "generated": 128, "models": [model(ours=650.0, llama_cpp=200.0)]},
}


def pair(estimated: int, measured: int | None, within: bool | None) -> dict[str, Any]:
    return {"estimated": estimated, "measured": measured, "within": within}


ARITHMETIC = {
    "technique": "AdamW",
    "parameters": 1234,
    "weights": 4e9,
    "gradients": 4e9,
    "optimizer": 8e9,
    "activations": 1e9,
    "peak": 17e9,
}
MEMORY: dict[str, Any] = {
    "machine": {"device": {"dtype": "bfloat16", "device_name": "A CPU"}},
    "preset": "tiny-cpu",
    "bounds": {"optimizer": 0.0, "activations": 0.15, "peak": 0.25},
    "rows": [
        {
            "technique": "AdamW", "matrix_state_share": 2.0, "reason": "", "optimizer": pair(1 << 20, 1 << 20, True),
            "activations": pair(1 << 21, 3 << 20, False), "peak": pair(1 << 22, 1 << 22, True),
        },
        {
            "technique": "float", "matrix_state_share": None, "reason": "not measured: too large", "optimizer": pair(1 << 20, 1 << 20, True),
            "activations": pair(1 << 21, None, None), "peak": pair(1 << 22, None, None),
        },
    ],
    "left_out": {"Collider, full": "moe.experts has none"},
    "claim": {"preset": "medium-3b", "words": "they said 26 GB", "rows": [ARITHMETIC]},
}  # fmt: skip
SPLIT = {"data_wait": 0.0001, "forward": 0.1, "backward": 0.15, "optimizer": 0.05}
TRAINED = {"model": "plain", "mode": "eager", "threads": 1, "parameters": 10, "tokens_per_second": 4331.4, "step_seconds": 0.3, "parts": SPLIT, "mfu": 0.411, "against_plain": 1.5, "reason": ""}  # fmt: skip
FAILED = {"model": "plain", "mode": "compiled", "threads": 1, "parameters": 10, "tokens_per_second": None, "step_seconds": None, "parts": dict.fromkeys(SPLIT), "mfu": None, "against_plain": None, "reason": "not run: no compiler"}  # fmt: skip
GPU = {"device": {"device_name": "A GPU", "dtype": "bfloat16"}, "peak_flops": 989e12}
REPORTS = {
    "bench-kernels": REPORT,
    "bench-memory": MEMORY,
    "bench-train": {"preset": "tiny-cpu", "machine": GPU, "rows": [TRAINED, FAILED], "warnings": ["a busy machine"]},
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The requests; the answer to each is that of REPORTS."""
    requests: list[dict[str, Any]] = []

    def answers(request: dict[str, Any], take: Any) -> dict[str, Any]:
        requests.append(request)
        take({"kind": "progress", "phase": "gemv, some shape"})
        return {"kind": "done", "report": REPORTS[request["verb"]]}

    monkeypatch.setattr(bench_result, "answers", answers)
    return requests


def lines(shown: command_line.Result) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in shown.out.splitlines() if line]


def test_tables(nano: Nano, asked: list[dict[str, Any]]) -> None:
    shown = nano("bench", "kernels")
    assert shown.code == 0, shown.err
    found = lines(shown)
    assert ["versions", "torch 2.13.0"] in found
    assert ["reading, GB/s", "1 thread", "2 threads"] in found and ["32.0 KiB", "101.0", "202.0"] in found
    assert ["avx2", "401.0", "802.0"] in found
    start = found.index(["gemv 2048 x 512, GOPS", "weights", "hot 1T", "cold 1T"])
    assert found[start + 1 : start + 7] == [
        ["limit: reading", "t2", "800", "800"],
        ["limit: reading", "t5", "1000", "1000"],
        ["limit: arithmetic avx2", "–", "400", "400"],
        ["limit: unpacking and arithmetic avx2", "t5", "300", "–"],
        ["avx2", "t2", "273.0 68 %", "266.0 66 %"],
        ["torch linear", "float32", "13.00", "13.00"],
    ]
    assert found[-1] == ["decode, 128 tokens", "1", "650.0", "200.0", "3.25"]
    assert "gemv, some shape" in shown.err and "warning: the load average was 2.5" in shown.err


def test_what_was_not_run_is_said(nano: Nano, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REPORT["end_to_end"], "models", [model(ours=650.0)])
    monkeypatch.setitem(REPORT["left_out"], "llama.cpp", "not run: llama-cpp-python is not there")
    found = lines(nano("bench", "kernels"))
    assert found.count(["llama.cpp not run: llama-cpp-python is not there"]) == 1
    assert found[-2:] == [
        ["decode, 128 tokens", "1", "650.0", "–", "–"],
        ["llama.cpp not run: llama-cpp-python is not installed"],
    ]
    monkeypatch.setitem(REPORT, "end_to_end", {"skipped": "not run: no native kernels: switched off"})
    assert lines(nano("bench", "kernels"))[-1] == ["end to end not run: no native kernels: switched off"]


def test_the_request_and_json(nano: Nano, asked: list[dict[str, Any]]) -> None:
    shown = nano("bench", "kernels", "--quick", "--only", "gemm", "--threads", "2", "--threads", "1", "--json")
    found = shown.data
    assert found.items() >= REPORT.items()
    assert (found["schema"], found["bench"], found["command"][:1], found["command"][-1:]) == (
        1,
        "kernels",
        ["nanoconsole"],
        ["--json"],
    )
    assert asked == [{"verb": "bench-kernels", "parts": ["gemm"], "threads": [1, 2], "quick": True}]
    nano("bench", "kernels")
    assert asked[1] == {"verb": "bench-kernels", "parts": list(bench.PARTS), "threads": [], "quick": False}


def test_memory_estimated_and_measured(nano: Nano, asked: list[dict[str, Any]]) -> None:
    found = lines(nano("bench", "memory"))
    assert ["AdamW", "200.0 %", "1.00 MiB", "1.00 MiB", "2.00 MiB", "3.00 MiB !", "4.00 MiB", "4.00 MiB"] in found
    assert ["float", "–", "1.00 MiB", "1.00 MiB", "2.00 MiB", "–", "4.00 MiB", "–"] in found
    assert ["not measured: too large"] in found and ["Collider, full: left out: moe.experts has none"] in found
    assert ["! optimizer: exact, activations: within 15 %, peak: within 25 % is promised, and not kept here"] in found
    assert ["computed in bfloat16 (A CPU)"] in found  # it halves what a step keeps
    assert ["they said 26 GB."] in found and ["AdamW", "4.00 GB", "4.00 GB", "8.00 GB", "1.00 GB", "17.00 GB"] in found
    shown = nano("bench", "memory", "--preset", "d20", "--set", "training.batch_size=2", "--json").data
    assert shown["bench"] == "memory" and shown["rows"] == MEMORY["rows"]
    assert asked[1] == {"verb": "bench-memory", "preset": "d20", "sets": ["training.batch_size=2"]}


def test_training_speed_and_what_did_not_run(nano: Nano, asked: list[dict[str, Any]]) -> None:
    shown = nano("bench", "train", "--threads", "1")
    found = lines(shown)
    assert "warning: a busy machine" in shown.err
    assert ["plain", "eager", "1", "10", "4331", "1.50", "300.0", "0.1", "100.0", "150.0", "50.0", "41.1"] in found
    assert ["plain", "compiled", "1", "10", *["–"] * 8] in found
    assert found[-2] == ["plain, compiled, 1 thread: not run: no compiler"]
    assert found[-1] == ["A GPU, bfloat16; MFU is of 989 TFLOP/s, dense, as its maker states"]
    nano("bench", "train", "--only", "eager", "--quick", "--json")
    assert {**asked[1], "threads": asked[0]["threads"]} == {
        "verb": "bench-train", "preset": "tiny-cpu", "sets": [], "threads": [1], "modes": ["eager"], "rounds": 1
    }  # fmt: skip


def test_the_console_measured_part_by_part(nano: Nano, monkeypatch: pytest.MonkeyPatch) -> None:
    def frame(bench: Bench) -> Iterator[Row]:
        yield f"first frame of {bench.scale.rounds}", 700.0, "ms", 350.0

    def rest(bench: Bench) -> Iterator[Row]:
        yield "idle", 0.5, "% of a core", None

    monkeypatch.setattr(console, "MEASURES", {"first-frame": frame, "idle": rest})
    shown = nano("bench", "console", "--only", "idle", "--only", "first-frame", "--quick")
    found = lines(shown)
    assert found[1:] == [
        ["first frame of 1", "700.0", "ms", "350.0", "2.00"],
        ["idle", "0.5000", "% of a core", "–", "–"],
    ]
    assert shown.err.splitlines()[:2] == ["first-frame", "idle"]
    document = nano("bench", "console", "--only", "idle", "--json").data
    assert (document["bench"], document["scale"]["records"]) == ("console", 1_000_000)
    assert document["machine"]["cpu"] and document["machine"]["versions"]["textual"]
    assert document["rows"] == [
        {"figure": "idle", "value": 0.5, "unit": "% of a core", "empty_app": None, "ratio": None}
    ]
    assert nano("bench", "console", "--only", "speed").code == 2


def test_the_console_offers_the_parts_that_can_be_measured() -> None:
    assert [*console.MEASURES] == [*bench_console.Part]


@pytest.mark.parametrize("wrong", [("--threads", "0"), ("--only", "speed")])
def test_wrong_options_are_refused(nano: Nano, asked: list[dict[str, Any]], wrong: tuple[str, str]) -> None:
    assert nano("bench", "kernels", *wrong).code == 2 and not asked


def test_more_threads_than_processors_are_refused_before_anything_is_measured(
    nano: Nano, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    refused = nano("bench", "kernels", "--threads", "1", "--threads", "99")
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert "threads 99 is not between 0 and 2" in refused.err and not asked
