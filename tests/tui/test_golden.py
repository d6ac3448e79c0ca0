"""Each screen as plain text at four sizes, compared with files. UPDATE_GOLDEN=1 writes the files anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.tui.scenes import at_work, console, lay, look, screen_text

FOLDER = Path(__file__).parent / "golden"
SIZES = [(60, 20), (80, 24), (120, 34), (200, 60)]
SLOW = [size if size == (80, 24) else pytest.param(size, marks=pytest.mark.slow) for size in SIZES]


def check(name: str, text: str) -> None:
    """Compare with the file, or write it."""
    path = FOLDER / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, f"{path.name} differs; UPDATE_GOLDEN=1 accepts the new picture"


@pytest.mark.parametrize("size", SLOW, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_every_screen_looks_as_it_did(size: tuple[int, int], root: Path, presets: None) -> None:
    running = lay(root, "tiny-cpu-0003", state="running", age=120)
    lay(root, "tiny-cpu-0002", state="finished", steps=60, total=60, age=7200, message="finished at step 60")
    lay(root, "a-run-with-a-rather-long-name-0001", state="crashed", steps=30, age=200_000, message="out of memory")
    app = console(root)
    with at_work(running):
        async with app.run_test(size=size) as pilot:
            look(app)
            await pilot.pause()
            check(f"runs-{size[0]}x{size[1]}", screen_text(app))
            await pilot.press("2")
            await app.workers.wait_for_complete()
            await pilot.pause()
            check(f"launch-{size[0]}x{size[1]}", screen_text(app))
            await pilot.press("1", "enter")
            look(app)
            await pilot.pause()
            await pilot.pause()
            check(f"live-{size[0]}x{size[1]}", screen_text(app))


async def test_an_empty_root_says_which_key_to_press(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=(80, 24)) as pilot:
        look(app)
        await pilot.pause()
        check("empty-80x24", screen_text(app))


async def test_a_terminal_too_small_says_so(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=(39, 24)) as pilot:
        assert "too small" in screen_text(app)
        assert "39 x 24" in screen_text(app)
        await pilot.resize_terminal(40, 11)
        await pilot.pause()
        assert "40 x 11" in screen_text(app)
        await pilot.resize_terminal(40, 12)
        await pilot.pause()
        assert "too small" not in screen_text(app)
