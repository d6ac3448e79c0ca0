"""Validate can fail: every breakage in the list is caught by the check that is named for it, and unbroken it holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nanocore.validation import reference_run
from nanocore.validation.catalog import NAMES
from nanocore.validation.run import Report, chosen, run
from nanocore.validation.workshop import Workshop
from tests.validation.breakages import BREAKAGES, Breakage

# torch loaded once more; thirty small runs; a hundred forward passes; runs of many steps; what its breakages pass through
LONG = ("kill", "techniques", "gradients", "training", "resume", "attention", "streams")
BRIEF = 6  # steps of the run whose records are looked at


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def one_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(cache))


@pytest.fixture(scope="module")
def shared() -> Iterator[Workshop]:
    """Checks that look at the same run find it made."""
    with Workshop() as workshop:
        yield workshop


def ended(name: str, workshop: Workshop) -> Report:
    return list(run(chosen([name]), workshop))[-1]


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in NAMES])
def test_every_check_holds_here(name: str, shared: Workshop) -> None:
    report = ended(name, shared)
    if name in ("gpu", "decoder") and report.state == "not run":
        assert report.meaning  # without a GPU, or a compiler
        return
    assert (report.state, report.observed) == ("passed", "")
    assert report.figure and report.meaning and report.seconds >= 0


def _marked(breakage: Breakage) -> object:
    return pytest.param(breakage, id=breakage.name, marks=[pytest.mark.slow] * breakage.slow)


@pytest.mark.parametrize("breakage", [_marked(each) for each in BREAKAGES])
def test_a_breakage_is_caught_by_its_check(breakage: Breakage, monkeypatch: pytest.MonkeyPatch) -> None:
    if breakage.check == "records":
        monkeypatch.setattr(reference_run, "STEPS", BRIEF)
    breakage.break_it(monkeypatch)
    with Workshop() as workshop:
        report = ended(breakage.check, workshop)
    assert report.state == "failed"
    assert breakage.told in f"{report.observed}; expected {report.expected}"


def test_there_are_breakages_enough_and_one_for_nearly_every_check() -> None:
    assert len(BREAKAGES) >= 25
    assert set(NAMES) - {each.check for each in BREAKAGES} == {"gpu"}  # which cannot run everywhere


@pytest.mark.gpu
def test_the_kernels_of_a_gpu_hold_at_length() -> None:
    with Workshop(full=True) as workshop:
        assert ended("gpu", workshop).state == "passed"
