"""Validate: the live checklist, what is expanded, run again, only selected, stopped, failed, and its exit state."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from nanoconsole.tui.app import ConsoleApp
from nanocore.validation.catalog import NAMES
from tests.tui.scenes import console
from tests.tui.worker_scenes import Answer, FakeWorker, settled


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanoconsole.services.workers.Worker", FakeWorker)
    monkeypatch.setattr(FakeWorker, "made", [])


def told(name: str, state: str, **words: object) -> Answer:
    return {"kind": "check", "name": name, "state": state, "seconds": 1.5, **words}


COUNT = len(NAMES)
PASSED = {"figure": "4 paths agree", "meaning": "all the same sums"}
FAILED = {"observed": "3 of 20 sums differ", "expected": "every sum exact"}


@asynccontextmanager
async def validating(root: Path, size: tuple[int, int] = (110, 44)) -> AsyncIterator[tuple[ConsoleApp, Pilot[None]]]:
    app = console(root)
    async with app.run_test(size=size) as pilot:
        await settled(pilot, "8")
        yield app, pilot


async def worker(pilot: Pilot[None]) -> FakeWorker:
    """The newest worker, once its thread has made it."""
    while not FakeWorker.made or FakeWorker.made[-1].cancelled:
        await pilot.pause()
    return FakeWorker.made[-1]


async def test_all_checks_run_live_and_the_head_has_the_exit_code(root: Path) -> None:
    async with validating(root) as (_, pilot):
        shown = await settled(pilot)
        assert "Nothing was checked yet" in shown and all(f"○ {name}" in shown for name in NAMES)
        assert "waiting" not in shown
        assert FakeWorker.made == []
        await settled(pilot, "r")
        fake = await worker(pilot)
        assert fake.request == {"verb": "validate", "only": [], "full": False, "keep": None}
        fake.answer(told("environment", "running"))
        assert (await settled(pilot)).count("waiting") > 20
        assert f"◐ environment  0 of {COUNT} ended" in await settled(pilot)
        for name in NAMES:
            fake.answer(told(name, "passed", **PASSED))
        fake.answer({"kind": "done"}, None)
        shown = await settled(pilot)
        assert f"✓ exit 0  {COUNT} passed in {COUNT * 1.5:.0f}s" in shown and "4 paths agree" in shown
        assert "all the same sums" not in shown
        assert "all the same sums" in await settled(pilot, "enter")
        assert (await settled(pilot, "a")).count("all the same sums") > 4
        assert "all the same sums" not in await settled(pilot, "a")


async def test_a_check_that_fails_shows_what_was_expected_and_where_to_look(root: Path) -> None:
    async with validating(root) as (_, pilot):
        await settled(pilot, "r")
        fake = await worker(pilot)
        fake.answer(
            told("kernels", "failed", **FAILED),
            told("checkpoint", "not run", meaning="no disk"),
            *(told(name, "passed", **PASSED) for name in NAMES if name not in ("kernels", "checkpoint")),
            {"kind": "done"},
            None,
        )
        shown = await settled(pilot)
        assert (
            f"✗ exit 3  {COUNT - 2} passed, 1 failed, 1 not run" in shown and "observed  3 of 20 sums differ" in shown
        )
        assert "expected  every sum exact" in shown and "look at   docs/kernels.md" in shown
        await settled(pilot, "n", "enter")
        assert "observed" not in await settled(pilot)


async def test_a_long_figure_goes_on_below_its_beginning(root: Path) -> None:
    async with validating(root, (80, 24)) as (_, pilot):
        await settled(pilot, "r")
        fake = await worker(pilot)
        fake.answer(
            told("environment", "passed", figure="48 of 96 tokens kept, worst gradient error 4.6e-16", meaning="m")
        )
        lines = (await settled(pilot)).splitlines()
        place = next(i for i, line in enumerate(lines) if "48 of 96" in line)
        begins = lines[place].index("48 of 96")
        assert lines[place + 1][:begins].isspace() and lines[place + 1][begins:].startswith("4.6e-16")


async def test_only_the_selected_or_the_one_under_the_cursor_run_again(root: Path) -> None:
    async with validating(root) as (_, pilot):
        await settled(pilot, "down", "space", "space", "r")
        fake = await worker(pilot)
        assert fake.request["only"] == ["kernels", "quantisers"]
        assert (await settled(pilot)).count("waiting") == 2  # nothing waits that nobody asked for
        fake.answer(told("kernels", "passed", **PASSED), told("quantisers", "passed"), {"kind": "done"}, None)
        await settled(pilot, "up", "up", "R")
        while len(FakeWorker.made) < 2:
            await pilot.pause()
        again = FakeWorker.made[1]
        assert again.request["only"] == ["kernels"]
        assert "◐ loading torch  0 of 1 ended" in await settled(pilot, "r")  # one run at a time
        assert len(FakeWorker.made) == 2


async def test_a_stopped_run_counts_as_not_run_and_has_no_tick(root: Path) -> None:
    async with validating(root) as (_, pilot):
        await settled(pilot, "r")
        fake = await worker(pilot)
        fake.answer(told("environment", "passed", **PASSED), told("kernels", "running"))
        assert "Stop" in await settled(pilot)
        await settled(pilot, "x")
        fake.answer()
        shown = await settled(pilot, "down", "enter")
        assert (
            fake.cancelled
            and "waiting" not in shown
            and "– kernels" in shown
            and f"– exit 130  stopped  1 passed, {COUNT - 1} not run" in shown
            and "✓ exit" not in shown
        )
        assert "stopped" in shown.split("– kernels")[1].split("– quantisers")[0]


async def test_a_check_without_a_result_is_no_pass(root: Path) -> None:
    async with validating(root) as (_, pilot):
        await settled(pilot, "down", "space", "space", "r")
        (await worker(pilot)).answer(told("kernels", "passed", **PASSED), {"kind": "done"}, None)
        shown = await settled(pilot)
        assert "✗ exit 1  1 passed, 1 not run" in shown and "the worker gave no result of quantisers" in shown
        assert "– quantisers" in shown


async def test_a_worker_that_dies_is_told_and_its_text_is_safe(root: Path) -> None:
    async with validating(root) as (_, pilot):
        await settled(pilot, "r")
        fake = await worker(pilot)
        hostile = "\x1b[2J[bold]x[/]"
        fake.answer(
            told("kernels", "failed", observed=hostile), told("nonsense", hostile), told("generation", "running")
        )
        fake.answer({"kind": "error", "message": f"killed {hostile}", "exit_code": 6}, None)
        shown = await settled(pilot)
        assert "✗ exit 3" in shown and "killed ␛[2J[bold]x[/]" in shown and "\x1b" not in shown
        assert "– generation" in shown


async def test_two_checks_at_once_are_both_told_and_full_is_asked_for(root: Path) -> None:
    async with validating(root) as (_, pilot):
        assert "full" not in (await settled(pilot)).splitlines()[1]
        assert "runs all checks.  full" in await settled(pilot, "f")
        await settled(pilot, "r")
        fake = await worker(pilot)
        assert fake.request["full"] is True
        fake.answer(told("kill", "running"), told("environment", "running"))
        assert f"◐ environment, kill  0 of {COUNT} ended  full" in await settled(pilot)
        fake.answer({"kind": "done"}, None)
        assert "full" not in (await settled(pilot, "f")).splitlines()[1]
