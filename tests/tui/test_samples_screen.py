"""Samples: scrubbed by every key, beside another run, and what is said when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanoconsole.tui.widgets.timeline import Timeline
from nanocore.runs.layout import RunFolder
from tests.tui.run_scenes import press, showing
from tests.tui.scenes import at_work, lay


@pytest.fixture
def run(root: Path) -> RunFolder:
    found = lay(root, "r", steps=240, age=60)
    for step in (40, 80, 120):
        found.sample_file(step).write_text(f"def at_{step}(a):\n    return a\n")
    return found


async def test_arrows_home_and_end_scrub_by_step(run: RunFolder) -> None:
    async with showing(run, "6") as (_, pilot):
        text = await press(pilot)
        assert "step 240  sample 4 of 4, the newest" in text and "def add(a, b):" in text
        assert "step 120  sample 3 of 4" in await press(pilot, "left")
        assert "def at_40(a):" in await press(pilot, "home")
        assert "step 40  sample 1 of 4" in await press(pilot, "left")
        assert "step 80  sample 2 of 4" in await press(pilot, "right")
        assert "sample 4 of 4" in await press(pilot, "end")


async def test_a_new_sample_is_shown_unless_another_is_looked_at(run: RunFolder) -> None:
    async with showing(run, "6") as (_, pilot):
        run.sample_file(280).write_text("newer")
        assert "newer" in await press(pilot)
        assert "sample 4 of 5" in await press(pilot, "left")
        run.sample_file(320).write_text("newest")
        assert "step 240  sample 4 of 6" in await press(pilot)
        assert "newest" in await press(pilot, "end")


async def test_a_step_is_gone_to_by_number_or_click(run: RunFolder) -> None:
    async with showing(run, "6") as (_, pilot):
        assert "Samples lie between step 40 and 240" in await press(pilot, "g")
        assert "step 80  sample 2 of 4" in await press(pilot, "7", "x", "0", "enter")
        await press(pilot, "g", "escape")
        assert "sample 2 of 4" in await press(pilot)
        assert "sample 2 of 4" in await press(pilot, "g", "enter")  # nothing typed
        await pilot.click(Timeline, offset=(0, 0))
        assert "step 40  sample 1 of 4" in await press(pilot)


@pytest.mark.slow
async def test_another_run_stands_beside_with_its_sample_up_to_the_step(run: RunFolder) -> None:
    other = lay(run.path.parent, "other", steps=60)
    other.sample_file(100).write_text("def at_100(b):\n    return a\n")
    async with showing(run, "6") as (_, pilot):
        assert "none" in await press(pilot, "o")
        text = await press(pilot, "down", "enter", "left")
        assert "def at_120(a):" in text and "other, step 100" in text and "def at_100(b):" in text
        assert "other, step 60" in await press(pilot, "left")
        assert "not as in other" in await press(pilot, "d")
        assert "other" not in (await press(pilot, "o", "up", "enter")).splitlines()[3]
        assert "not as in step 40" in await press(pilot)
        assert "not as" not in await press(pilot, "d")
        assert "def at_80" in await press(pilot, "o", "escape")


async def test_only_words_that_differ_are_marked(run: RunFolder) -> None:
    async with showing(run, "6") as (app, pilot):
        await press(pilot, "left", "d")
        pane = app.screen.query_one("#samples-mine").query_one("Static")
        content = pane.visual  # type: ignore[attr-defined]
        marked = [content.plain[span.start : span.end] for span in content.spans if "underline" in str(span.style)]
        assert marked == ["at_120"]


async def test_long_texts_scroll_together(run: RunFolder) -> None:
    run.sample_file(400).write_text("".join(f"line {number}\n" for number in range(100)))
    async with showing(run, "6", (60, 20)) as (_, pilot):
        assert "line 0\n" in await press(pilot)
        text = await press(pilot, "down", "pagedown")
        assert "line 0\n" not in text and "line 11\n" in text
        assert "line 10\n" in await press(pilot, "up")
        assert "line 0\n" in await press(pilot, "pageup")


async def test_sample_now_asks_the_trainer_and_only_a_training_run(root: Path) -> None:
    run = lay(root, "busy", state="running", steps=5)
    with at_work(run):
        async with showing(run, "6", (110, 24)) as (_, pilot):
            assert "a Sample now" in await press(pilot)
            assert "busy writes a sample after this step" in await press(pilot, "a")
            assert [path.name for path in run.control_dir.iterdir() if "sample" in path.name]
    ended = lay(root, "done", steps=5)
    async with showing(ended, "6", (110, 24)) as (_, pilot):
        assert "Sample now" not in await press(pilot)
        assert "not possible: the run is finished" in await press(pilot, "a")


async def test_a_run_without_samples_says_how_to_get_one(root: Path) -> None:
    run = lay(root, "r", steps=5)
    run.sample_file(5).unlink()
    (run.samples_dir / "notes.txt").write_text("no sample")
    async with showing(run, "6") as (_, pilot):
        text = await press(pilot)
        assert "No sample yet" in text and "evaluation.sample_every" in text
        assert "Step" not in await press(pilot, "left", "d", "g", "down")


async def test_what_the_model_wrote_never_steers_the_terminal(run: RunFolder) -> None:
    run.sample_file(900).write_bytes(b"\x1b[2J[bold]x[/]\xff\x00" + b"y" * 70_000)
    run.sample_file(950).mkdir()
    async with showing(run, "6") as (_, pilot):
        assert "cannot be read: Is a directory" in await press(pilot)
        text = await press(pilot, "left")
        assert "␛[2J[bold]x[/]" in text and "\x1b" not in text
