"""`doctor`: true facts of this machine, and problems in plain words."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest
import torch

from nanokernels import tuned_file
from tests import command_line
from tests.command_line import Nano

nano = command_line.nano


@pytest.mark.slow
def test_doctor_tells_what_is_used_and_why(nano: Nano, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOKERNELS_NATIVE", "0")
    facts = nano("doctor", "--json").data
    assert facts["versions"]["torch"] == facts["torch"]["version"] == torch.__version__
    assert facts["machine"]["processors_allowed"] == len(os.sched_getaffinity(0))
    assert facts["machine"]["memory_bytes"] == psutil.virtual_memory().total
    assert facts["kernels"]["active"] == facts["kernels"]["available"][0] == "torch"
    assert facts["kernels"]["decoder"].startswith("torch")
    assert facts["folders"]["runs"] == str(nano.root)
    assert facts["torch"]["ternary_matmul_many_tokens"] in ("int8", "float32")
    assert any(problem.endswith("NANOKERNELS_NATIVE=0; unset it") for problem in facts["problems"])
    row = next(line for line in nano("doctor").out.splitlines() if line.startswith("unavailable"))
    assert row.count("NANOKERNELS_NATIVE=0") == 1 and all(path in row for path in facts["kernels"]["unavailable"])


@pytest.mark.slow
def test_a_cache_that_cannot_be_made_is_a_problem(nano: Nano, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setenv("NANOKERNELS_NATIVE", "0")
    facts = nano("doctor", "--json").data
    assert (facts["folders"]["cache_writable"], facts["folders"]["runs_writable"]) == (False, True)
    assert any(problem.endswith("cache cannot be written to") for problem in facts["problems"])
    assert not list(tmp_path.glob(".nanoconsole-*"))


@pytest.mark.slow
def test_what_was_measured_is_shown_and_can_be_forgotten(
    nano: Nano, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path / "cache"))
    entry = {"path": "torch", "threads": 1, "gops": 2.5}
    tuned_file.write("t2 64x64 groups 1 tokens 1", entry)
    assert nano("doctor", "--json").data["measured"]["t2 64x64 groups 1 tokens 1"] == entry
    removed = nano("doctor", "--reset-tuning", "--json").data["removed"]
    assert removed[tuned_file.path().name]["t2 64x64 groups 1 tokens 1"] == entry
    assert not tuned_file.path().exists()
    again = nano("doctor", "--reset-tuning")
    assert again.out == f"0 measurements in 0 files removed from {tuned_file.path().parent}\n"


def test_a_part_that_cannot_be_looked_at_is_a_finding(nano: Nano, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is told all the same. `triton` stands for any package that breaks on import."""
    broken = nano.root.parent / "broken"
    (broken / "torch").mkdir(parents=True)
    (broken / "torch" / "__init__.py").write_text("raise ImportError('libnothing.so: cannot open')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(broken), os.environ.get("PYTHONPATH", "")]))
    shown = nano("doctor")
    assert shown.code == 0, shown.err
    assert "problem: torch: ImportError: libnothing.so: cannot open" in shown.out
    assert "memory available" in shown.out
