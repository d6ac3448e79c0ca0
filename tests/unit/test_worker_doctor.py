"""What `doctor` finds out about the kernels of a machine without a compiler: the same at every call, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanocore.worker import doctor
from nanokernels import native


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with neither compiler nor extension nor compiled library."""
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("NANOKERNELS_NATIVE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path))
    monkeypatch.setattr(native, "_extension", lambda: None)
    monkeypatch.setattr(native, "find", native.find.__wrapped__)


@pytest.mark.usefixtures("bare")
def test_the_path_the_reason_and_the_remedy_are_told_at_every_call() -> None:
    told: list[tuple[doctor.Section, list[str]]] = []
    for _ in range(2):
        problems: list[str] = []
        told.append((doctor._kernels(problems), problems))
    assert told[0] == told[1]
    facts, (problem,) = told[0]
    assert (facts["active"], facts["decoder"], facts["compiler"]) == ("torch", "torch, several times slower", None)
    assert "no C compiler" in facts["unavailable"]["avx2"]
    assert "no C compiler: install gcc or clang" in problem and "reinstallation" in problem


@pytest.mark.usefixtures("bare")
def test_a_compiler_named_by_CC_is_looked_for_as_the_build_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "/nonexistent")
    problems: list[str] = []
    assert doctor._kernels(problems)["compiler"] is None and "CC is /nonexistent" in problems[0]
    compiler = tmp_path / "my-cc"
    compiler.write_text("#!/bin/sh\necho 'error: no' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    assert doctor._kernels(problems)["compiler"] == str(compiler) and "error: no" in problems[1]
