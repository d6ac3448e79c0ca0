"""What the list of runs is made of: filter, order, selection, tags, archive, trash, several roots, many runs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from textual.widgets import Input, OptionList

from nanoconsole.services.settings import Settings
from nanoconsole.services.settings_schema import SETTINGS
from nanoconsole.tui.app import ConsoleApp
from nanoconsole.tui.screens.delete import DeleteScreen
from nanoconsole.tui.screens.tags import TagsScreen
from nanoconsole.tui.widgets.run_table import RunTable
from nanocore.runs.layout import RunFolder
from nanocore.runs.notes import change_notes, read_notes
from nanocore.runs.records import RecordWriter
from nanocore.runs.trash import trash_dir
from tests.tui.scenes import NOW, at_work, console, lay, look, seen, set_status


def listed(app: ConsoleApp) -> list[str]:
    """Names in the table, from above."""
    return [run.label for run in app.screen.query_one(RunTable)._runs]


def under_cursor(app: ConsoleApp) -> str:
    chosen = app.screen.query_one(RunTable).chosen
    return chosen.label if chosen else ""


@pytest.fixture
def three(root: Path) -> list[RunFolder]:
    """Three runs, the newest first; `b` has learned least, `c` most."""
    return [lay(root, name, steps=steps, age=age) for name, steps, age in (("a", 60, 10), ("b", 5, 20), ("c", 240, 30))]


async def test_typing_a_filter_shows_what_fits_and_escape_takes_it_back(root: Path, three: list[RunFolder]) -> None:
    app = console(root)
    async with app.run_test(size=(100, 24)) as pilot:
        look(app)
        await pilot.pause()
        await pilot.press("slash", *"step>5")
        assert listed(app) == ["a", "c"]
        await pilot.press("space", *"name:c")
        assert listed(app) == ["c"]
        assert "1 of 3 runs" in await seen(pilot)
        await pilot.press("enter")
        assert app.screen.focused is app.screen.query_one(RunTable)
        await pilot.press("slash", "x", "escape")
        assert listed(app) == ["c"]
        await pilot.press("escape")
        assert listed(app) == ["a", "b", "c"]
        assert not app.screen.query_one("#filter").display


async def test_a_filter_that_means_nothing_is_told_with_its_place_and_changes_nothing(
    root: Path, three: list[RunFolder]
) -> None:
    app = console(root)
    async with app.run_test(size=(100, 24)) as pilot:
        look(app)
        await pilot.pause()
        await pilot.press("slash", *"name:c")
        app.screen.query_one("#filter", Input).value = "name:c lss<3"  # at once: half a word is a word too
        await pilot.press("enter")
        text = await seen(pilot)
        assert "✗ filter, column 8: 'lss' is no field" in text
        assert "did you mean loss?" in text
        assert listed(app) == ["c"]
        assert app.screen.focused is app.screen.query_one("#filter")


async def test_a_filter_on_a_configuration_has_them_read(root: Path, three: list[RunFolder]) -> None:
    app = console(root)
    async with app.run_test(size=(100, 24)) as pilot:
        look(app)
        await pilot.pause()
        await pilot.press("slash", *"lr>1e-4", "enter")
        assert "None of 3 runs fits the filter" in await seen(pilot)
        look(app)
        await pilot.pause()
        assert listed(app) == ["a", "b", "c"]


async def test_sort_by_key_by_title_and_in_reverse(root: Path, three: list[RunFolder]) -> None:
    app = console(root)
    async with app.run_test(size=(120, 24)) as pilot:
        look(app)
        await pilot.pause()
        title = (await seen(pilot)).splitlines()
        line = next(place for place, text in enumerate(title) if "bits/byte" in text)
        await pilot.click(offset=(title[line].index("loss") + 1, line))
        assert listed(app) == ["c", "a", "b"]
        assert "loss▾" in await seen(pilot)
        await pilot.click(offset=(title[line].index("loss") + 1, line))
        assert listed(app) == ["b", "a", "c"]
        await pilot.press("O")
        assert listed(app) == ["c", "a", "b"]
        while app.screen._arrangement.sort != "name":  # type: ignore[attr-defined]
            await pilot.press("o")
        assert listed(app) == ["a", "b", "c"]
        assert "by name" in await seen(pilot)


async def test_the_cursor_moves_by_row_page_and_to_the_ends_and_stays_in_view(root: Path) -> None:
    for number in range(20):
        lay(root, f"r{number:02d}", steps=2, age=number)
    app = console(root)
    async with app.run_test(size=(80, 14)) as pilot:
        look(app)
        await pilot.pause()
        for key, name in (("end", "r19"), ("up", "r18"), ("home", "r00"), ("pagedown", None), ("pageup", None)):
            await pilot.press(key)
            assert name in (under_cursor(app), None)
            assert under_cursor(app) in await seen(pilot)
        await pilot.press("end")
        assert "▶" in await seen(pilot)
        table = app.screen.query_one(RunTable)
        for _ in range(30):
            table._on_mouse_scroll_up(_wheel(table))
        await pilot.pause()
        assert "r00" in await seen(pilot)


def _wheel(table: RunTable):
    from textual.events import MouseScrollUp

    return MouseScrollUp(table, 5, 5, 0, -1, 0, False, False, False, 5, 5)


async def test_a_click_moves_a_second_one_opens_and_one_in_the_margin_selects(
    root: Path, three: list[RunFolder]
) -> None:
    app = console(root)
    async with app.run_test(size=(100, 24)) as pilot:
        look(app)
        lines = (await seen(pilot)).splitlines()
        row = next(place for place, text in enumerate(lines) if " b " in text)
        await pilot.click(offset=(20, row))
        assert under_cursor(app) == "b"
        await pilot.click(offset=(0, row))
        assert app.choice.runs == [RunFolder(root / "b")]
        await pilot.click(offset=(20, row), times=2)
        assert app.opened == RunFolder(root / "b")


async def test_selected_runs_are_marked_told_and_let_go_by_escape(root: Path, three: list[RunFolder]) -> None:
    app = console(root)
    async with app.run_test(size=(100, 24)) as pilot:
        look(app)
        await pilot.pause()
        await pilot.press("space", "space", "b")
        text = await seen(pilot)
        assert "2 selected" in text
        assert [line[:2] for line in text.splitlines() if "/400" in line] == [" +", " +", "▶◆"]
        assert app.choice.compared() == [three[2], three[0], three[1]]
        await pilot.press("A")
        assert len(app.choice.runs) == 3
        await pilot.press("A", "A")
        assert "3 selected" in await seen(pilot)
        await pilot.press("escape", "b")
        assert (app.choice.runs, app.choice.baseline) == ([], None)


async def test_all_that_is_selected_is_what_is_shown(root: Path, three: list[RunFolder]) -> None:
    app = console(root)
    async with app.run_test(size=(100, 24)) as pilot:
        look(app)
        await pilot.pause()
        await pilot.press("slash", *"step>5", "enter", "A")
        assert app.choice.runs == [three[0], three[2]]


async def test_tags_and_note_of_one_run(root: Path, three: list[RunFolder]) -> None:
    change_notes(three[0], add=["old", "kept"])
    app = console(root)
    async with app.run_test(size=(150, 24)) as pilot:
        look(app)
        await pilot.pause()
        await pilot.press("t")
        assert isinstance(app.screen, TagsScreen)
        line = app.screen.query_one("#tags", Input)
        assert line.value == "old kept"
        line.value = "kept Bad"
        await pilot.press("enter", "enter")
        assert "✗ 'Bad' cannot be a tag" in await seen(pilot)
        line.value = "kept new"
        await pilot.press("enter", *"it works", "enter")
        await app.workers.wait_for_complete()
        assert (read_notes(three[0]).tags, read_notes(three[0]).note) == (("kept", "new"), "it works")
        look(app)
        text = await seen(pilot)
        assert "kept new" in text
        assert "it works" in text


async def test_tags_of_several_runs_are_added_and_removed(root: Path, three: list[RunFolder]) -> None:
    change_notes(three[1], add=["bad"], note="mine")
    app = console(root)
    async with app.run_test(size=(100, 24)) as pilot:
        look(app)
        await pilot.pause()
        await pilot.press("A", "t")
        assert "Tags and note of 3 runs" in await seen(pilot)
        await pilot.press(*"sweep +x -bad", "enter", "enter")
        await app.workers.wait_for_complete()
        assert [read_notes(run).tags for run in three] == [("sweep", "x")] * 3
        assert read_notes(three[1]).note == "mine"
        assert "3 runs noted" in await seen(pilot)
        await pilot.press("t", "escape")
        assert not isinstance(app.screen, TagsScreen)


async def test_archived_runs_go_out_of_sight_and_come_back(root: Path, three: list[RunFolder]) -> None:
    app = console(root)
    async with app.run_test(size=(100, 24)) as pilot:
        look(app)
        await pilot.pause()
        await pilot.press("a")
        await app.workers.wait_for_complete()
        look(app)
        assert "1 archived hidden (h shows)" in await seen(pilot)
        assert listed(app) == ["b", "c"]
        await pilot.press("h", "home")
        assert listed(app) == ["a", "b", "c"]
        await pilot.press("a")
        await app.workers.wait_for_complete()
        assert not read_notes(three[0]).archived
        for run in three:
            change_notes(run, archived=True)
        look(app)
        await pilot.press("h")
        assert "All runs are archived" in await seen(pilot)


async def test_deleting_asks_first_and_never_takes_a_run_at_work(root: Path, three: list[RunFolder]) -> None:
    set_status(three[1], state="running")
    app = console(root)
    with at_work(three[1]):
        async with app.run_test(size=(100, 30)) as pilot:
            look(app)
            await pilot.pause()
            await pilot.press("A", "D")
            assert isinstance(app.screen, DeleteScreen)
            text = await seen(pilot)
            assert "Delete a, c?" in text
            assert "stays, it works: b" in text
            await pilot.press("enter")  # keep is first
            assert len(list(root.glob("?"))) == 3
            await pilot.press("delete", "down")
            assert app.screen.query_one(OptionList).highlighted == 1
            await pilot.press("enter")
            await app.workers.wait_for_complete()
            look(app)
            assert "2 runs moved to the trash" in await seen(pilot)
            assert listed(app) == ["b"]
            assert app.choice.runs == [three[1]]
            assert len(list(trash_dir(root).iterdir())) == 2
            await pilot.press("delete")
            assert "not possible: b is running" in await seen(pilot)


async def test_a_note_that_cannot_be_written_is_told(root: Path, three: list[RunFolder]) -> None:
    three[0].notes_file.write_text("tags = [")
    app = console(root)
    async with app.run_test(size=(120, 24)) as pilot:
        look(app)
        assert "its notes cannot be used: a: notes.toml" in await seen(pilot)
        await pilot.press("a")
        await app.workers.wait_for_complete()
        assert "✗ a: notes.toml" in await seen(pilot)


async def test_runs_of_other_roots_are_named_with_their_root(root: Path, tmp_path: Path) -> None:
    lay(root, "same", steps=5, age=5)
    other = lay(tmp_path / "lab", "same", steps=7, age=9)
    values = {setting.key: setting.default for setting in SETTINGS} | {"roots": (str(tmp_path / "lab"),)}
    app = ConsoleApp(root, follow=False, clock=lambda: NOW, settings=Settings(values=values))
    async with app.run_test(size=(100, 24)) as pilot:
        look(app)
        await pilot.pause()
        assert listed(app) == ["same", "lab/same"]
        await pilot.press("down", "enter")
        assert app.opened == other


async def test_a_small_loss_leaves_its_arrow_in_place(root: Path) -> None:
    run = lay(root, "small", steps=1)
    writer = RecordWriter(run.metrics_file)
    for step in range(2, 200):
        writer.write({"step": step, "attempt": 1, "loss/ce": 0.9 - step / 400})
    writer.close()
    app = console(root)
    async with app.run_test(size=(80, 24)) as pilot:
        look(app)
        assert "0.403 ↓" in await seen(pilot)


async def test_a_stalled_run_says_so(root: Path) -> None:
    run = lay(root, "busy", state="running", steps=20)
    app = console(root)
    with at_work(run):
        async with app.run_test(size=(100, 24)) as pilot:
            look(app)
            await seen(pilot)
            watch = next(iter(app.follower._index._known.values())).stalls
            watch._clock = lambda: time.monotonic() + 99_999
            look(app)
            text = await seen(pilot)
            assert "◍ stalled" in text
            assert "stalled: " in text.splitlines()[-2] + text.splitlines()[-3]


async def test_only_rows_in_view_are_made(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(24):
        lay(root, f"r{number:02d}", steps=2, age=number)
    app, made = console(root), []
    real = RunTable._strip
    monkeypatch.setattr(RunTable, "_strip", lambda *given, **how: made.append(given[1:3]) or real(*given, **how))
    async with app.run_test(size=(120, 14)) as pilot:
        look(app)
        await seen(pilot)
        assert 5 <= len({row[1] for row, _ in made}) <= 10


async def test_hostile_names_and_texts_are_shown_as_they_are(root: Path) -> None:
    run = lay(root, "odd", steps=5)
    run.notes_file.write_text('tags = ["ok"]\nnote = "[red]x[/] \\u001b[2J"\n')
    set_status(run, message="[bold]two\nlines\x1b[31m 漢字漢字")
    app = console(root)
    async with app.run_test(size=(200, 20)) as pilot:
        look(app)
        text = await seen(pilot)
        assert "[red]x[/] ␛[2J" in text
        assert "[bold]two lines␛[31m 漢字漢字" in text
        assert "\x1b" not in text
